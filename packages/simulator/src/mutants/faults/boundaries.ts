/** Faults of appends to several streams, of conditions, and of what is remembered for retries. */
import type { Killer, PlantedFault } from '../planted-fault.ts'

const folder = 'packages/events'
const judge = `${folder}/src/append-judge.ts`
const conditions = `${folder}/src/condition-judge.ts`
const batch = `${folder}/src/condition-batch.ts`
const store = `${folder}/src/open-event-store.ts`
const importReader = "import { EventReader } from './event-reader.ts'"

const seeds: readonly Killer[] = [
  { by: 'seeds', mode: 'basic', seedsMax: 200 },
  { by: 'seeds', mode: 'multi', seedsMax: 200 },
]

const atomicTest = (test: string): Killer => ({ by: 'test', folder, file: 'atomic-append.test.ts', test })

export const faultsOfBoundaries: readonly PlantedFault[] = [
  {
    name: 'condition-judged-before-ordering',
    breaks: 'a condition is judged in the order of the log',
    patches: [
      {
        file: judge,
        find: 'condition === undefined ? holds : this.#conditions.judge(condition, this.#head)',
        replace: 'holds',
      },
      {
        file: store,
        find: 'return this.#appends.appendAtomically(request, options)',
        replace: `const { failIfEventsMatch, after = 0 } = request.condition ?? {}
    if (failIfEventsMatch === undefined) return this.#appends.appendAtomically(request, options)
    const asked = { filter: { items: failIfEventsMatch.items }, from: after + 1, limit: 1, consistency: 'local' as const }
    return this.#reads.query(asked).then(({ events: [match] }) => {
      if (match !== undefined) throw new ConditionFailedError(match.position)
      return this.#appends.appendAtomically(request, options)
    })`,
      },
      { file: store, find: importReader, replace: `${importReader}\nimport { ConditionFailedError } from './event-store-error.ts'` },
    ],
    killers: [...seeds, atomicTest('sees the commands before it in its own slot')],
  },
  {
    name: 'atomic-append-split',
    breaks: 'the writes of an append to several streams are one command',
    patches: [
      {
        file: store,
        find: 'return this.#appends.appendAtomically(request, options)',
        replace: `const [first, ...rest] = request.writes
    const whole = this.#appends.appendAtomically(first === undefined ? request : { ...request, writes: [first] }, options)
    if (rest.length === 0) return whole
    const { principal } = request
    const others = { writes: rest.map((write) => ({ ...write, expected: 'any' as const })), ...(principal !== undefined && { principal }) }
    return whole.then(async ({ streams }) => {
      const second = await this.appendAtomically(others, options)
      return { position: second.position, streams: [...streams, ...second.streams] }
    })`,
      },
    ],
    killers: seeds,
  },
  {
    name: 'condition-ignores-its-batch',
    breaks: 'a condition sees the commands that came before it in its batch',
    patches: [
      {
        file: conditions,
        find: 'this.#batch = new ConditionBatch(',
        replace: 'this.batchHead = head\n    this.#batch = new ConditionBatch(',
      },
      {
        file: conditions,
        find: 'if (scanned + cost > max) return',
        replace: 'if (position > this.batchHead) continue\n      if (scanned + cost > max) return',
      },
    ],
    killers: [...seeds, atomicTest('sees the commands before it in its own slot')],
  },
  {
    name: 'condition-sees-only-what-is-flushed',
    breaks: 'a verdict depends on no flush',
    patches: [
      {
        file: conditions,
        find: 'if (scanned + cost > max) return',
        replace: 'if (position > this.#sources.postings.cut) continue\n      if (scanned + cost > max) return',
      },
    ],
    killers: [...seeds, { by: 'test', folder, file: 'boundary-model.test.ts', test: 'every verdict follows from the log alone' }],
  },
  {
    name: 'condition-after-one-late',
    breaks: 'a condition counts the events above `after`, the next one too',
    patches: [{ file: batch, find: 'items.map((item) => ({ after, lists', replace: 'items.map((item) => ({ after: after + 1, lists' }],
    killers: [...seeds, atomicTest('sees events after a position')],
  },
  {
    name: 'condition-after-one-early',
    breaks: 'a condition counts no event at `after`',
    patches: [
      { file: batch, find: 'items.map((item) => ({ after, lists', replace: 'items.map((item) => ({ after: Math.max(0, after - 1), lists' },
    ],
    killers: [...seeds, atomicTest('sees nothing at or below it')],
  },
  {
    name: 'condition-checked-before-ids',
    breaks: 'a retry is known by its event ids before the condition is looked at',
    patches: [
      {
        file: judge,
        find: 'if (before !== undefined) return { verdict: before }',
        replace: `const found = append.condition === undefined ? holds : this.#conditions.judge(append.condition, this.#head)
    if (found.kind === 'violated') return { verdict: { kind: 'violated', revisions: [], position: found.position } }
    if (before !== undefined) return { verdict: before }`,
      },
    ],
    killers: [...seeds, atomicTest('a retry of an append whose own events now match its condition')],
  },
  {
    name: 'key-table-not-flushed',
    breaks: 'idempotency keys are known after a restart',
    patches: [{ file: `${folder}/src/flusher.ts`, find: 'keys: batch.flatMap((applied) => applied.keys)', replace: 'keys: []' }],
    killers: [...seeds, { by: 'test', folder, file: 'event-store-model.test.ts', test: 'the store does what the model says' }],
  },
]
