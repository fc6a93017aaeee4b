import { describe, expect, test } from 'vitest'
import { createEventMachine, ReadSideError, type ReadSide } from '@synod/events'
import { memoryReadSide, memoryReadSideStorage } from '@synod/events/memory'
import { decodeEntry, encodeEntry, type Envelope } from '@synod/log'
import { event, openNode, uuid, type NodeOptions } from './node.ts'

const nothing = new Uint8Array()

function applyOne(
  machine: ReturnType<typeof createEventMachine>,
  slot: number,
  command: Partial<Envelope>,
): ReturnType<typeof machine.apply> {
  const entry = encodeEntry({
    kind: 'commands',
    commands: [{ version: 1, session: 1, sequence: 1, floor: 1, principal: '', body: nothing, blobs: [], ...command }],
  })
  const decoded = decodeEntry(entry)
  const [envelope] = decoded.kind === 'commands' ? decoded.commands : []
  if (envelope === undefined) throw new Error('no command')
  const verdict = machine.apply(envelope, { slot, index: 0, entry })
  machine.slotApplied(slot)
  return verdict
}

describe('the machine', () => {
  test('halts at a command version that it does not know', async () => {
    const machine = createEventMachine({ readSide: memoryReadSide() })
    await machine.open()
    expect(() => applyOne(machine, 1, { version: 3 })).toThrow(/version 3/)
    expect(() => applyOne(machine, 1, { version: 2, body: Uint8Array.of(99) })).toThrow(/kind 99/)
  })

  test.each([
    ['no body', nothing, []],
    ['a body cut short', Uint8Array.of(0, 1, 0, 0, 0, 9, 97), []],
    ['no writes', Uint8Array.of(0, 0, 0), []],
    ['an expectation of a kind that is not', Uint8Array.of(0, 1, 0, 0, 0, 1, 97, 9, 0, 0, 0, 1, 0), [nothing]],
    ['more events than blobs', Uint8Array.of(0, 1, 0, 0, 0, 1, 97, 0, 0, 0, 0, 2, 0), [nothing]],
    ['two writes to one stream', Uint8Array.of(0, 2, 0, 0, 0, 1, 97, 0, 0, 0, 0, 1, 0, 0, 0, 1, 97, 0, 0, 0, 0, 1, 0), [nothing, nothing]],
    ['an event that is none', Uint8Array.of(0, 1, 0, 0, 0, 1, 97, 0, 0, 0, 0, 1, 0), [new Uint8Array(60)]],
  ])('calls %s malformed, and goes on', async (_, body, blobs) => {
    const machine = createEventMachine({ readSide: memoryReadSide() })
    await machine.open()
    expect(applyOne(machine, 1, { body, blobs })).toMatchObject({ kind: 'malformed' })
    expect(machine.position()).toBe(0)
    await machine.flush()
    expect(machine.flushed()).toBe(1)
  })

  test('encodes every verdict', () => {
    const { outputs } = createEventMachine({ readSide: memoryReadSide() })
    for (const verdict of [
      { kind: 'appended', position: 2 ** 40, revisions: [0, 7] },
      {
        kind: 'wrongExpectedRevision',
        violations: [
          { write: 0, actual: -1 },
          { write: 3, actual: 5 },
        ],
      },
      { kind: 'eventIdConflict', id: new Uint8Array(16).fill(3) },
      { kind: 'keyReused' },
      { kind: 'malformed', why: 'no' },
      {
        kind: 'violated',
        revisions: [
          { place: 0, actual: -1 },
          { place: 8191, actual: 2 ** 40 },
        ],
        position: 2 ** 41,
      },
      { kind: 'violated', revisions: [], position: 7 },
      { kind: 'conditionTooBroad', scanned: 4096 },
      { kind: 'streamTombstoned', write: 3 },
    ] as const)
      expect(outputs.decode(outputs.encode(verdict))).toEqual(verdict)
    expect(() => outputs.decode(Uint8Array.of(9))).toThrow(/malformed/)
  })

  test('after a crash begins at what was flushed, and the log brings the rest', async () => {
    const storage = memoryReadSideStorage()
    const first = await openNode({ storage, machine: { flushDelayMs: 1_000_000, keysMax: 2 } })
    const append = (store: typeof first.store, at: number): Promise<unknown> =>
      store.append({ stream: `s${at % 3}`, events: [event('x', at, { id: uuid(at) })], expected: 'any', idempotencyKey: `k${at}` })
    for (let at = 0; at < 5; at++) await append(first.store, at)
    await first.machine.flush()
    expect(storage.mark.position).toBe(5)
    for (let at = 5; at < 9; at++) await append(first.store, at)
    const slots = await first.log.crash()
    expect(storage.mark.position).toBe(5)
    const second = await openNode({ storage, slots, machine: { keysMax: 2 } })
    expect(second.store.position()).toBe(9)
    await second.machine.flush()
    expect(storage.keys.map(({ key }) => key)).toEqual(['k7', 'k8'])
    for (let at = 0; at < 9; at++) expect(await append(second.store, at)).toEqual({ revision: Math.floor(at / 3), position: at + 1 })
    expect((await second.store.readAll({ consistency: 'local', limit: 100 })).map(({ position }) => position)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ])
  })

  test('gives back what it answered in the slots that it flushed', async () => {
    const { store, machine } = await openNode({ machine: { flushDelayMs: 1_000_000 } })
    const [a, b] = await Promise.all([
      store.append({ stream: 'a', events: [event('x'), event('y')], expected: 'any' }),
      store.append({ stream: 'b', events: [event('x')], expected: 'any' }),
      store.append({ stream: 'b', events: [event('x')], expected: 9 }).catch(() => {}),
    ])
    expect([a, b]).toEqual([
      { revision: 1, position: 2 },
      { revision: 0, position: 3 },
    ])
    await machine.flush()
    const answers = []
    for await (const { outputs } of machine.answers(1, machine.flushed())) answers.push(...outputs)
    expect(answers.map(([, verdict]) => verdict)).toEqual([
      { kind: 'appended', position: 2, revisions: [1] },
      { kind: 'appended', position: 3, revisions: [0] },
      { kind: 'wrongExpectedRevision', violations: [{ write: 0, actual: 0 }] },
    ])
  })

  test('refuses as busy a quarter before its bound, waits at it, and goes on', async () => {
    const inner = memoryReadSide()
    const gate = Promise.withResolvers<void>()
    const readSide: ReadSide = gated(inner, gate.promise)
    const machine = createEventMachine({ readSide, limits: { unflushedEventsMax: 8, flushEventsMax: 1 } })
    await machine.open()
    const append = Uint8Array.of(0, 1, 0, 0, 0, 1, 97, 0, 0, 0, 0, 1, 0)
    for (let slot = 1; slot <= 8; slot++) {
      expect(machine.accepting()).toBe(slot <= 7)
      await machine.prefetch([{ version: 1, session: 1, sequence: 1, floor: 1, principal: '', body: append, blobs: [nothing] }])
      applyOne(machine, slot, { body: append, blobs: [nothing] })
    }
    const waiting = machine.prefetch([])
    expect(waiting).toBeInstanceOf(Promise)
    gate.resolve()
    await waiting
    await machine.flush()
    expect(machine.accepting()).toBe(true)
    expect(machine.flushed()).toBe(8)
  })

  test('a flush that fails is told once, and nothing is applied after it', async () => {
    const readSide = gated(memoryReadSide(), Promise.reject(new ReadSideError('unavailable', 'gone')))
    const failures: Error[] = []
    const machine = createEventMachine({ readSide, limits: { flushDelayMs: 0 }, onFailure: (error) => failures.push(error) })
    await machine.open()
    applyOne(machine, 1, { body: nothing })
    await expect(machine.flush()).rejects.toMatchObject({ code: 'unavailable' })
    expect(machine.accepting()).toBe(false)
    await expect(machine.prefetch([])).rejects.toMatchObject({ code: 'unavailable' })
    expect(failures).toHaveLength(1)
    await machine.close()
  })

  test.each([{ idWindow: 0 }, { keysMax: 1.5 }, { idWindow: 2 ** 29 }, { conditionScanMax: 2 ** 21 }])(
    'limits %o make no sense',
    (limits) => {
      expect(() => createEventMachine({ readSide: memoryReadSide(), limits })).toThrow(RangeError)
    },
  )

  test('other settings than those of the read side are refused', async () => {
    const storage = memoryReadSideStorage()
    await openNode({ storage, machine: { idWindow: 10 } })
    await expect(openNode({ storage, machine: { idWindow: 11 } })).rejects.toMatchObject({ code: 'other_settings' })
  })

  test('tight caches and eager flushes change no verdict', async () => {
    const roomy = await openNode({ machine: { flushDelayMs: 1_000_000 } })
    let next = 1
    for (let round = 0; round < 60; round++) {
      await Promise.allSettled(
        Array.from({ length: 1 + (round % 4) }, (_, at) =>
          roomy.store.append({
            stream: `s${(round * 7 + at * 3) % 11}`,
            events: Array.from({ length: 1 + (at % 3) }, () =>
              event('x', round, { id: uuid(round % 6 === 5 ? Math.max(1, next - 9) : next++) }),
            ),
            expected: (['any', 'noStream', 'streamExists', round % 5] as const)[(round + at) % 4] ?? 'any',
            ...(round % 3 === 0 ? { idempotencyKey: `k${round % 9}` } : {}),
          }),
        ),
      )
    }
    await roomy.machine.flush()
    const expected = await verdicts(roomy.machine)
    const tight: NodeOptions['machine'] = { streamCacheMax: 1, tailBytesMax: 1, flushDelayMs: 0, flushEventsMax: 1, unflushedEventsMax: 2 }
    const other = await openNode({ slots: roomy.log.slots, machine: tight })
    await other.machine.flush()
    expect(await verdicts(other.machine)).toEqual(expected)
    expect(other.storage.slots).toEqual(roomy.storage.slots)
    expect(new Set(expected.map(([, verdict]) => verdict.kind))).toEqual(
      new Set(['appended', 'wrongExpectedRevision', 'eventIdConflict', 'keyReused']),
    )
  })
})

async function verdicts(machine: ReturnType<typeof createEventMachine>) {
  const all = []
  for await (const { outputs } of machine.answers(1, machine.flushed())) all.push(...outputs)
  return all
}

/** Flushes wait for the gate. */
function gated(inner: ReadSide, gate: Promise<void>): ReadSide {
  gate.catch(() => {})
  return new Proxy(inner, {
    get(target, name: keyof ReadSide) {
      if (name === 'flush') return (batch: Parameters<ReadSide['flush']>[0]) => gate.then(() => target.flush(batch))
      const value = target[name]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
