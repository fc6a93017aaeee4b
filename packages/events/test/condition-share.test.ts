/** What the read side is asked for one condition of many items: they share the bound when they are loaded, as when they are judged. */
import { expect, test } from 'vitest'
import { createEventMachine, type EventMachine, type ReadSide } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { encodeRecord, parseUuid } from '@synod/event-record'
import { decodeEntry, encodeEntry, type Envelope } from '@synod/log'
import { encodeAtomicAppend } from '../src/append-command.ts'
import type { ConditionItem } from '../src/condition.ts'
import { encodeRetentionCommand } from '../src/retention/retention-command.ts'
import { uuid } from './node.ts'

const conditionScanMax = 1024
const sparse = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const dense = ['k', 'l', 'm', 'n', 'o', 'p', 'q', 'r']
const items: readonly ConditionItem[] = sparse.flatMap((one) => dense.map((other) => ({ types: [], tags: [one, other] })))

/** The older half have the first tags, the newer half the others, so that no window tells of one list what stands in the other. */
test.each([
  ['different items', items, false],
  ['different items, and an event of the batch that matches all of them', items, true],
  ['the same item', Array.from({ length: 64 }, () => items[0]!), false],
])('64 items, %s: a small multiple of conditionScanMax', async (_, asked, isMatched) => {
  const counts = { questions: 0, places: 0 }
  const machine = createEventMachine({
    readSide: counting(memoryReadSide(), counts),
    limits: { conditionScanMax, flushDelayMs: 1_000_000 },
  })
  await machine.open()
  for (let at = 0; at < 16; at++)
    await run(machine, at + 1, [
      append(
        's',
        Array.from({ length: 256 }, () => (at < 8 ? sparse : dense)),
      ),
    ])
  const metadata = { maxCount: 3 }
  const keep = { version: 2, body: encodeRetentionCommand({ op: 'setMetadata', stream: 'x', metadata }), blobs: [] }
  await run(machine, 17, [keep])
  await machine.flush()
  Object.assign(counts, { questions: 0, places: 0 })
  const own = isMatched ? [...sparse, ...dense] : []
  const [verdict] = await run(machine, 18, [append('w', [own], asked), append('w', [own], asked)])
  expect(verdict).toMatchObject({ kind: 'conditionTooBroad', scanned: conditionScanMax })
  expect(counts.questions).toBeGreaterThan(0)
  expect(counts.questions).toBeLessThan(4 * conditionScanMax)
  expect(counts.places).toBeLessThan(4 * conditionScanMax)
})

test('64 items of which each matches only what is hidden: the places of a small multiple', async () => {
  const counts = { questions: 0, places: 0 }
  const limits = { conditionScanMax, flushDelayMs: 1_000_000, idWindow: 1 }
  const machine = createEventMachine({ readSide: counting(memoryReadSide(), counts), limits })
  await machine.open()
  for (let at = 0; at < 16; at++)
    await run(machine, at + 1, [
      append(
        's',
        Array.from({ length: 256 }, () => [...sparse, ...dense]),
      ),
    ])
  await run(machine, 17, [{ version: 2, body: encodeRetentionCommand({ op: 'delete', stream: 's', expected: 'any' }), blobs: [] }])
  await machine.flush()
  Object.assign(counts, { questions: 0, places: 0 })
  const [verdict] = await run(machine, 18, [append('w', [[]], items)])
  expect(verdict).toMatchObject({ kind: 'conditionTooBroad', scanned: conditionScanMax })
  expect(counts.places).toBeGreaterThan(0)
  expect(counts.places).toBeLessThan(4 * conditionScanMax)
})

test('an item that an event of the batch makes cheap leaves the later ones what they need', async () => {
  for (const retained of [false, true]) {
    const machine = createEventMachine({ readSide: memoryReadSide(), limits: { conditionScanMax, flushDelayMs: 1_000_000 } })
    await machine.open()
    for (let at = 0; at < 16; at++)
      await run(machine, at + 1, [
        append(
          's',
          Array.from({ length: 256 }, () => (at < 8 ? sparse : dense)),
        ),
      ])
    const keep = { version: 2, body: encodeRetentionCommand({ op: 'setMetadata', stream: 'x', metadata: { maxCount: 3 } }), blobs: [] }
    if (retained) await run(machine, 17, [keep])
    await machine.flush()
    // Without the first command's event, judging the second would end in its first item.
    const asked = [items[0]!, { types: [], tags: ['b', 'l'] }]
    const verdicts = await run(machine, 18, [append('w', [['a', 'k']]), append('w', [[]], asked)])
    expect(verdicts).toMatchObject([
      { kind: 'appended', position: 4097 },
      { kind: 'violated', position: 4097 },
    ])
  }
})

let drawn = 1
function append(stream: string, tagged: readonly (readonly string[])[], asked?: readonly ConditionItem[]) {
  const blobs = tagged.map((tags) => encodeRecord({ type: 'T', data: Uint8Array.of(0x31), tags }, parseUuid(uuid(drawn++))!, 0))
  const writes = [{ stream, expected: 'any' as const, count: blobs.length }]
  return { version: 2, body: encodeAtomicAppend({ writes, checks: [], ...(asked && { condition: { after: 0, items: asked } }) }), blobs }
}

async function run(machine: EventMachine, slot: number, given: readonly Pick<Envelope, 'version' | 'body' | 'blobs'>[]) {
  const commands = given.map((one, at) => ({ session: 1, sequence: slot * 8 + at, floor: 1, principal: '', ...one }))
  const bytes = encodeEntry({ kind: 'commands', commands })
  const entry = decodeEntry(bytes)
  if (entry.kind !== 'commands') throw new Error('no commands')
  await machine.prefetch(entry.commands)
  const verdicts = entry.commands.map((command, index) => machine.apply(command, { slot, index, entry: bytes }))
  machine.slotApplied(slot)
  return verdicts
}

function counting(inner: ReadSide, counts: { questions: number; places: number }): ReadSide {
  const postingsOf = inner.postingsOf.bind(inner)
  const slotsAt = inner.slotsAt.bind(inner)
  return Object.assign(inner, {
    postingsOf: (questions: Parameters<ReadSide['postingsOf']>[0]) => {
      counts.questions += questions.length
      return postingsOf(questions)
    },
    slotsAt: (positions: readonly number[]) => {
      counts.places += positions.length
      return slotsAt(positions)
    },
  })
}
