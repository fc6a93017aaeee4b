/** Faults of the event store with streams alone: verdicts, the seam between memory and read side, subscriptions, what is flushed. */
import type { PlantedFault } from '../planted-fault.ts'

const folder = 'packages/events'
const judge = `${folder}/src/append-judge.ts`
const store = `${folder}/src/open-event-store.ts`
const reader = `${folder}/src/event-reader.ts`
const importReader = "import { EventReader } from './event-reader.ts'"

export const faultsOfEvents: readonly PlantedFault[] = [
  {
    name: 'expected-checked-before-ordering',
    breaks: 'what is expected is judged in the order of the log',
    patches: [
      {
        file: judge,
        find: 'actual)) violations = violations.concat(',
        replace: 'actual) && place < 0) violations = violations.concat(',
      },
      {
        file: store,
        find: 'return this.#appends.append(request, options)',
        replace: `return this.#machine.index.streams.find(request.stream).then((state) => {
      const [actual, { expected }] = [state?.revision ?? -1, request]
      const fits = expected === 'any' || (expected === 'noStream' ? actual < 0 : expected === 'streamExists' ? actual >= 0 : actual === expected)
      if (!fits) throw new WrongExpectedRevisionError(request.stream, expected, actual < 0 ? 'noStream' : actual)
      return this.#appends.append(request, options)
    })`,
      },
      {
        file: store,
        find: importReader,
        replace: `${importReader}\nimport { WrongExpectedRevisionError } from './event-store-error.ts'`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'expected-checked-before-ids',
    breaks: 'a retry is known by its event ids before the expected revision is looked at',
    patches: [
      { file: judge, find: 'if (before !== undefined) return { verdict: before }', replace: '' },
      {
        file: judge,
        find: 'return refusal === undefined ? this.#append(',
        replace:
          'if (refusal === undefined && before !== undefined) return { verdict: before }\n    return refusal === undefined ? this.#append(',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'append-split',
    breaks: 'the events of an append are one command',
    patches: [
      {
        file: store,
        find: 'return this.#appends.append(request, options)',
        replace: `if (request.events.length > 1 && request.idempotencyKey === undefined) {
      const last = { ...request, events: request.events.slice(-1), expected: 'any' as const }
      return this.append({ ...request, events: request.events.slice(0, -1) }, options).then(() => this.append(last, options))
    }
    return this.#appends.append(request, options)`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'retry-with-a-new-identity',
    breaks: 'an append that is tried again keeps its event ids',
    patches: [{ file: `${folder}/src/append-request.ts`, find: 'ids[at] ?? drawId()', replace: 'drawId()' }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'key-stands-for-any-request',
    breaks: 'an idempotency key belongs to one request',
    patches: [
      {
        file: `${folder}/src/idempotency-keys.ts`,
        find: "return bytesEqual(row.digest, digest) ? row.answer : 'other'",
        replace: 'return row.answer',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'hand-over-doubles-one',
    breaks: 'an event is read from the read side or from memory, not from both',
    patches: [
      { file: reader, find: 'this.#positions(from, Math.min(to, first - 1))', replace: 'this.#positions(from, Math.min(to, first))' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'hand-over-skips-one',
    breaks: 'an event is in the read side or in memory',
    patches: [
      {
        file: reader,
        find: 'this.#positions(from, Math.min(to, first - 1))',
        replace: 'this.#positions(from, Math.min(to, Math.max(from, first - 2)))',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'subscription-resumes-one-late',
    breaks: 'a subscription goes on with the event after the last one',
    patches: [
      {
        file: `${folder}/src/store-subscriptions.ts`,
        find: 'Math.max(1, from ?? 1) : afterPosition + 1',
        replace: 'Math.max(1, from ?? 1) : afterPosition + 2',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'subscription-claims-what-it-has-not-seen',
    breaks: 'a checkpoint covers what was looked at',
    patches: [
      {
        file: `${folder}/src/subscription.ts`,
        find: 'this.#end = { last, head }',
        replace: 'this.#end = { last, head: stream === undefined ? head : this.#parts.index.tail.head }',
      },
    ],
    killers: [
      { by: 'test', folder, file: 'subscription-claims.test.ts', test: 'an event that comes while the end of its stream is looked up' },
    ],
  },
  {
    name: 'flush-claims-what-waits',
    breaks: 'the mark of the read side covers what was flushed',
    patches: [
      {
        file: `${folder}/src/flusher.ts`,
        find: 'this.#waiting.length === 0 || last === undefined ? this.#applied : last.record.slot',
        replace: 'this.#applied',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'tail-drops-what-is-not-flushed',
    breaks: 'what leaves the memory is in the read side',
    patches: [
      { file: `${folder}/src/tail.ts`, find: ' || record.firstPosition + record.offsets.length - 1 > this.#flushedPosition', replace: '' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'event-id-lost-in-a-collision',
    breaks: 'an id of the window is known, whatever ids its place is shared with',
    patches: [
      {
        file: `${folder}/src/event-ids.ts`,
        find: 'if (((at - home) & mask) < ((at - hole) & mask)) continue',
        replace: 'if (home >= 0) continue',
      },
    ],
    killers: [{ by: 'test', folder, file: 'event-ids.test.ts', test: 'after thousands of ids came and went' }],
  },
]
