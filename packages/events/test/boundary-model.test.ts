/**
 * Random logs of appends with writes, checks, conditions, keys, ids and retries, among changes of retention, run through the machine
 * in random batches with flushes before, during and after their prefetch, and with crashes that set the read side back to an
 * earlier flush or to nothing. Every verdict, also when it is given again, is that of a model which knows the log alone.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeRecord, parseUuid } from '@synod/event-record'
import { createEventMachine, type EventMachineLimits, type Expected, type ReadSide, type Verdict } from '@synod/events'
import { memoryReadSide, memoryReadSideStorage, type MemoryReadSideStorage } from '@synod/events/memory'
import { decodeEntry, encodeEntry, type Envelope } from '@synod/log'
import { encodeAppendCommand, encodeAtomicAppend } from '../src/append-command.ts'
import { encodeRetentionCommand } from '../src/retention/retention-command.ts'
import { BoundaryModel, type ModelAppend, type ModelCommand, type ModelLimits } from './boundary-model.ts'
import { uuid } from './node.ts'

const streams = ['a-1', 'a-2', 'b-1', 'b-2', 'c']
const types = ['T', 'U', 'V', 'W']
const tags = ['r', 's', 't', 'x:1', 'x:2']

const stream = fc.constantFrom(...streams)
const expected: fc.Arbitrary<Expected> = fc.oneof(
  { weight: 6, arbitrary: fc.constant('any' as const) },
  fc.constantFrom('noStream' as const, 'streamExists' as const),
  fc.nat(5),
)
const event = fc.record({
  id: fc.integer({ min: 1, max: 200 }),
  type: fc.constantFrom(...types),
  tags: fc.array(fc.constantFrom(...tags), { maxLength: 4 }),
})
const write = fc.record({ stream, expected, events: fc.array(event, { minLength: 1, maxLength: 3 }) })
const item = fc.record({
  types: fc.uniqueArray(fc.constantFrom(...types), { maxLength: 3 }),
  tags: fc.uniqueArray(fc.constantFrom(...tags), { maxLength: 3 }),
})
/** Two common tags, the same ones again, or others. */
const pair = fc.uniqueArray(fc.constantFrom(...tags), { minLength: 2, maxLength: 2 }).map((both) => ({ types: [], tags: both }))
const condition = fc.record({
  after: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(60)),
  items: fc.oneof(fc.array(item, { minLength: 1, maxLength: 3 }), fc.array(pair, { minLength: 2, maxLength: 10 })),
})
const key = fc.option(fc.constantFrom('k', 'l', 'm', 'n'), { nil: undefined, freq: 4 })
const plain = fc.record({ writes: fc.tuple(write), key })
const atomic = fc.record({
  writes: fc.uniqueArray(write, { minLength: 1, maxLength: 3, selector: (one) => one.stream }),
  checks: fc.uniqueArray(fc.record({ stream, expected }), { maxLength: 2, selector: (one) => one.stream }),
  condition: fc.option(condition, { nil: undefined, freq: 6 }),
  key,
})
const change: fc.Arbitrary<ModelCommand> = fc.oneof(
  fc.record(
    { kind: fc.constant('keep' as const), stream, maxCount: fc.integer({ min: 1, max: 4 }), truncateBefore: fc.nat(6) },
    { requiredKeys: ['kind', 'stream'] },
  ),
  fc.record({ kind: fc.constantFrom('delete' as const, 'delete' as const, 'tombstone' as const), stream }),
)

/** A command, or one of those before again. */
type Asked = { readonly command: ModelCommand } | { readonly again: number }
const append: fc.Arbitrary<ModelCommand> = fc.oneof(plain, atomic).map((given) => {
  const { checks, condition: asked, ...rest } = { checks: undefined, condition: undefined, ...given }
  const written = new Set(given.writes.map((one) => one.stream))
  const others = checks?.filter((one) => !written.has(one.stream))
  return defined({ kind: 'append' as const, ...rest, checks: others, condition: asked })
})
const asked: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 12, arbitrary: append.map((command) => ({ command })) },
  { weight: 2, arbitrary: fc.record({ again: fc.nat(30) }) },
  { weight: 1, arbitrary: change.map((command) => ({ command })) },
)
const log = fc.array(fc.array(asked, { minLength: 1, maxLength: 5 }), { minLength: 4, maxLength: 24 })

/** What happens around the batches of slots. */
const schedule = fc.array(
  fc.record({
    slots: fc.integer({ min: 1, max: 4 }),
    flush: fc.constantFrom('no', 'no', 'before', 'during', 'between', 'after'),
    /** How far a crash after the batch sets the read side back, in flushes. */
    crash: fc.option(fc.nat(3), { nil: undefined, freq: 5 }),
    delays: fc.nat(6),
  }),
  { minLength: 8, maxLength: 24 },
)
const limits = fc.record({
  idWindow: fc.constantFrom(3, 12, 1000),
  keysMax: fc.constantFrom(2, 100),
  conditionScanMax: fc.constantFrom(1, 2, 3, 5, 9, 20, 4096),
})
const sizes = fc.record({ streamCacheMax: fc.constantFrom(1, 3, 100), tailBytesMax: fc.constantFrom(1, 2000, 100_000) })

test('every verdict follows from the log alone', async () => {
  const kinds = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(log, schedule, limits, sizes, async (given, steps, pinned, tight) => {
      const slots = resolveAgain(given)
      const model = new BoundaryModel(pinned)
      const verdicts = slots.map((commands) => commands.map((command) => model.apply(command)))
      for (const text of verdicts.flat()) kinds.set(text.split(' ')[0]!, (kinds.get(text.split(' ')[0]!) ?? 0) + 1)
      await replay(slots, verdicts, steps, { ...pinned, ...tight })
    }),
    { numRuns: 200 },
  )
  for (const kind of [
    'appended',
    'wrongExpectedRevision',
    'violated',
    'conditionTooBroad',
    'eventIdConflict',
    'keyReused',
    'streamTombstoned',
  ])
    expect({ kind, count: kinds.get(kind) ?? 0 }).toSatisfy(({ count }) => count > 5)
}, 120_000)

/** Enough events before, flushed in pieces, that lists are longer than what is loaded of them at first. */
const manyEvents = fc.array(fc.array(event, { minLength: 40, maxLength: 40 }), { minLength: 8, maxLength: 16 })

test('and does where lists are long', async () => {
  const kinds = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(
      manyEvents,
      log,
      schedule,
      fc.constantFrom(8, 30, 70, 200, 600, 4096),
      sizes,
      async (before, given, steps, conditionScanMax, tight) => {
        const pinned = { idWindow: 1000, keysMax: 10, conditionScanMax }
        let id = 1000
        const filling = before.map((events, at): readonly Asked[] => [
          {
            command: {
              kind: 'append',
              writes: [{ stream: `f-${at % 3}`, expected: 'any', events: events.map((one) => ({ ...one, id: id++ })) }],
            },
          },
        ])
        const slots = resolveAgain([...filling, ...given])
        const model = new BoundaryModel(pinned)
        const verdicts = slots.map((commands) => commands.map((command) => model.apply(command)))
        for (const text of verdicts.flat()) kinds.set(text.split(' ')[0]!, (kinds.get(text.split(' ')[0]!) ?? 0) + 1)
        await replay(slots, verdicts, steps, { ...pinned, ...tight })
      },
    ),
    { numRuns: 30 },
  )
  for (const kind of ['appended', 'violated']) expect({ kind, count: kinds.get(kind) ?? 0 }).toSatisfy(({ count }) => count > 0)
}, 120_000)

type Step = typeof schedule extends fc.Arbitrary<(infer S)[]> ? S : never

async function replay(
  slots: readonly (readonly ModelCommand[])[],
  verdicts: readonly (readonly string[])[],
  steps: readonly Step[],
  machineLimits: ModelLimits & Partial<EventMachineLimits>,
): Promise<void> {
  const entries = slots.map((commands, at) =>
    encodeEntry({ kind: 'commands', commands: commands.map((command, index) => envelope(command, at * 8 + index + 1)) }),
  )
  const flushes: MemoryReadSideStorage[] = [memoryReadSideStorage()]
  let [machine, storage] = await open(memoryReadSideStorage(), 0, machineLimits)
  let applied = 0
  for (let step = 0; applied < entries.length; step++) {
    const { slots: count, flush, crash, delays } = steps[step % steps.length]!
    const batch = entries.slice(applied, applied + count).map((bytes) => ({ bytes, commands: commandsOf(bytes) }))
    let flushing: Promise<void> | undefined
    if (flush === 'before') await machine.flush()
    if (flush === 'during') flushing = machine.flush()
    await machine.prefetch(batch.flatMap(({ commands }) => commands))
    if (flush === 'between') await machine.flush()
    for (const { bytes, commands } of batch) {
      const slot = ++applied
      const given = commands.map((command, index) => textOf(machine.apply(command, { slot, index, entry: bytes })))
      expect(given).toEqual(verdicts[slot - 1])
      machine.slotApplied(slot)
    }
    await flushing
    if (flush === 'after') await machine.flush()
    if (flush !== 'no') flushes.push(structuredClone(storage))
    if (crash === undefined || step > 60) continue
    const back = flushes[Math.max(0, flushes.length - 1 - crash)]!
    ;[machine, storage] = await open(structuredClone(back), delays, machineLimits)
    applied = storage.mark.slot
  }
}

async function open(storage: MemoryReadSideStorage, delays: number, machineLimits: Partial<EventMachineLimits>) {
  const machine = createEventMachine({
    readSide: delayed(memoryReadSide({ storage }), delays),
    limits: { flushDelayMs: 1_000_000, ...machineLimits },
  })
  await machine.open()
  return [machine, storage] as const
}

/** Its answers come some turns later, so that a flush may end in the middle of what is loaded. */
function delayed(inner: ReadSide, turns: number): ReadSide {
  return new Proxy(inner, {
    get(target, name: keyof ReadSide) {
      const value = target[name]
      if (typeof value !== 'function') return value
      if (name !== 'postingsOf' && name !== 'slotsAt' && name !== 'streamsNumbered') return value.bind(target)
      return async (...parameters: unknown[]) => {
        const answer: unknown = await Reflect.apply(value, target, parameters)
        for (let turn = 0; turn < turns; turn++) await Promise.resolve()
        return answer
      }
    },
  })
}

function resolveAgain(given: readonly (readonly Asked[])[]): readonly (readonly ModelCommand[])[] {
  const before: ModelCommand[] = []
  return given.map((commands) =>
    commands.flatMap((one) => {
      const command = 'command' in one ? one.command : before.at(-1 - one.again)
      if (command === undefined) return []
      before.push(command)
      return [command]
    }),
  )
}

function envelope(command: ModelCommand, sequence: number): Envelope {
  const head = { session: 1, sequence, floor: 1, principal: '' }
  switch (command.kind) {
    case 'append':
      return { ...head, ...appendOf(command) }
    case 'keep': {
      const { stream: name, maxCount, truncateBefore } = command
      const metadata = defined({ maxCount, truncateBefore })
      return { ...head, version: 2, body: encodeRetentionCommand({ op: 'setMetadata', stream: name, metadata }), blobs: [] }
    }
    case 'delete':
    case 'tombstone':
      return { ...head, version: 2, body: encodeRetentionCommand({ op: command.kind, stream: command.stream, expected: 'any' }), blobs: [] }
  }
}

function appendOf(command: ModelAppend): Pick<Envelope, 'version' | 'body' | 'blobs'> {
  const { checks, condition: asks, key: name } = command
  const writes = command.writes.map((one) => ({ stream: one.stream, expected: one.expected, count: one.events.length }))
  const blobs = command.writes.flatMap(({ events }) =>
    events.map(({ id, type, tags: tagged }) => encodeRecord({ type, data: Uint8Array.of(0x31), tags: tagged }, parseUuid(uuid(id))!, 0)),
  )
  const digest = createHash('sha256').update(JSON.stringify(command)).digest().subarray(0, 16)
  const keyed = name === undefined ? {} : { key: { key: name, digest } }
  if (checks === undefined) return { version: 1, body: encodeAppendCommand({ writes, ...keyed }), blobs }
  return { version: 2, body: encodeAtomicAppend({ writes, checks, ...defined({ condition: asks }), ...keyed }), blobs }
}

function commandsOf(bytes: Uint8Array): readonly Envelope[] {
  const entry = decodeEntry(bytes)
  return entry.kind === 'commands' ? entry.commands : []
}

/** As the model tells it. */
function textOf(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'appended':
      return `appended ${verdict.position} ${verdict.revisions.join()}`
    case 'wrongExpectedRevision':
      return `wrongExpectedRevision ${verdict.violations.map(({ write: place, actual }) => `${place}:${actual}`).join()}`
    case 'violated':
      return `violated ${verdict.revisions.map(({ place, actual }) => `${place}:${actual}`).join()} ${verdict.position}`
    case 'streamTombstoned':
      return `streamTombstoned ${verdict.write}`
    case 'eventIdConflict':
      return `eventIdConflict ${Number.parseInt(Buffer.from(verdict.id).toString('hex').slice(-12), 16)}`
    case 'conditionTooBroad':
    case 'keyReused':
      return verdict.kind
    case 'retention':
      return ''
    default:
      return JSON.stringify(verdict)
  }
}

/** Without what is undefined. */
function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
