/**
 * What every read side must do. Call it in a test file with a factory; it needs vitest and nothing else but the port.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { EventRow, ReadSide, SlotToFlush } from '../read-side.ts'
import { sampleName, SampleFlushes, type SampleSlot } from './sample-flush.ts'

/** One empty storage. */
export interface ReadSideUnderTest {
  /** Another owner of the same storage; the former one need not have been closed. */
  create(): ReadSide
  dispose(): Promise<void>
}

const settings = 'idWindow=10 keysMax=10'

export function readSideConformance(name: string, make: () => Promise<ReadSideUnderTest>): void {
  describe(`${name} is a ReadSide`, () => {
    let under: ReadSideUnderTest
    let side: ReadSide
    let samples: SampleFlushes
    const opened: ReadSide[] = []

    async function reopen(): Promise<ReadSide> {
      const next = under.create()
      opened.push(next)
      expect(await next.open(settings)).toEqual(samples.mark)
      return next
    }

    beforeEach(async () => {
      under = await make()
      samples = new SampleFlushes()
      side = await reopen()
    })

    afterEach(async () => {
      for (const open of opened.splice(0)) await open.close()
      await under.dispose()
    })

    const flush = (slots: readonly SampleSlot[], keys = 0, forget = 0): Promise<void> => side.flush(samples.next(slots, keys, forget))

    test('an empty one knows nothing', async () => {
      expect(await side.streamsNamed(['a'])).toEqual([])
      expect(await side.slots(1, 100, 10)).toEqual([])
      expect(await side.keys(0, 10)).toEqual([])
    })

    test('a stream is found by its name, with the revision of its last event', async () => {
      await flush([[1, 2, 1], [1]])
      await flush([[3, 2]])
      const rows = await side.streamsNamed([1, 2, 3, 4].map(sampleName))
      expect(rows.toSorted((a, b) => a.number - b.number)).toEqual([
        { number: 1, name: sampleName(1), revision: 2 },
        { number: 2, name: sampleName(2), revision: 1 },
        { number: 3, name: sampleName(3), revision: 0 },
      ])
      const names = await side.streamsNumbered([3, 1])
      expect(names.toSorted((a, b) => a.number - b.number)).toEqual([
        { number: 1, name: sampleName(1) },
        { number: 3, name: sampleName(3) },
      ])
    })

    test('a number without a stream is damage', async () => {
      await expect(side.streamsNumbered([7])).rejects.toMatchObject({ code: 'damaged' })
    })

    test('events of a stream, any range, ascending', async () => {
      await flush([[1, 2, 1], [2, 1, 1], [1]])
      expect(await side.streamEvents(1, 0, 4)).toEqual(eventsOf(samples, 1))
      expect(await side.streamEvents(1, 2, 3)).toEqual(eventsOf(samples, 1).slice(2, 4))
      expect(await side.streamEvents(2, 1, 1)).toEqual(eventsOf(samples, 2).slice(1))
    })

    test('events of a stream that gets thousands in a flush, across flushes', async () => {
      const slot = Array.from({ length: 700 }, (_, event) => (event % 7 === 3 ? 2 : 1))
      await flush([slot, slot, slot])
      await flush([[1, 1], slot])
      const [all, others] = [eventsOf(samples, 1), eventsOf(samples, 2)]
      expect(await side.streamEvents(1, 0, all.length - 1)).toEqual(all)
      expect(await side.streamEvents(2, 0, others.length - 1)).toEqual(others)
      for (const [from, to] of [
        [511, 512],
        [512, 512],
        [1023, 1030],
        [1799, 1802],
        [600, 2000],
      ] as const)
        expect(await side.streamEvents(1, from, to)).toEqual(all.slice(from, to + 1))
      expect(await side.streamsNamed([sampleName(1)])).toMatchObject([{ revision: all.length - 1 }])
    })

    test('a revision that is not there is damage', async () => {
      await flush([[1]])
      await expect(side.streamEvents(1, 0, 1)).rejects.toMatchObject({ code: 'damaged' })
      await expect(side.streamEvents(2, 0, 0)).rejects.toMatchObject({ code: 'damaged' })
    })

    test('slots by position: those that hold the ends and all between, without empty ones', async () => {
      await flush([[1, 1, 1], [], [2, 2], [], [], [1, 2, 3, 4]])
      const [first, , second, , , third] = samples.slots.map(row)
      expect(await side.slotsHolding(1, 1)).toEqual([first])
      expect(await side.slotsHolding(3, 4)).toEqual([first, second])
      expect(await side.slotsHolding(4, 5)).toEqual([second])
      expect(await side.slotsHolding(2, 9)).toEqual([first, second, third])
      expect(await side.slotsHolding(9, 9)).toEqual([third])
      await expect(side.slotsHolding(9, 10)).rejects.toMatchObject({ code: 'damaged' })
    })

    test('slots by number, those without events included, a page at a time', async () => {
      await flush([[1], [], [2]])
      expect(await side.slots(1, 3, 10)).toEqual(samples.slots.map(row))
      expect(await side.slots(2, 3, 1)).toEqual(samples.slots.slice(1, 2).map(row))
      expect(await side.slots(4, 9, 1)).toEqual([])
    })

    test('keys in order, from anywhere, without the forgotten', async () => {
      await flush([[1]], 5)
      await flush([[1]], 3, 4)
      expect(await side.keys(0, 100)).toEqual(samples.keys.slice(4))
      expect(await side.keys(6, 1)).toEqual(samples.keys.slice(6, 7))
    })

    test('a mark that moves without events', async () => {
      await flush([[1]])
      const from = samples.mark
      samples.mark = { ...from, slot: 1000 }
      await side.flush({ from, to: samples.mark, streams: [], slots: [], keys: [], keysForgotten: 0, postings: [], cells: [] })
      await flush([[1]])
      await reopen()
    })

    test('what was flushed is there after another opening', async () => {
      await flush([[1, 2], [3]], 2)
      side = await reopen()
      expect(await side.streamEvents(2, 0, 0)).toEqual(eventsOf(samples, 2))
      expect(await side.keys(0, 10)).toEqual(samples.keys)
      await flush([[1, 4]])
      side = await reopen()
      expect(await side.streamEvents(1, 0, 1)).toEqual(eventsOf(samples, 1))
    })

    test('a former owner is fenced and leaves nothing', async () => {
      await flush([[1]])
      const successor = await reopen()
      await expect(flush([[1, 2]])).rejects.toMatchObject({ code: 'fenced' })
      expect(await successor.streamsNamed([sampleName(2)])).toEqual([])
      await expect(successor.streamEvents(1, 0, 1)).rejects.toMatchObject({ code: 'damaged' })
    })

    test('a flush that does not begin where the last one ended is refused', async () => {
      const before = samples.mark
      samples.next([[1]])
      await expect(flush([[1]])).rejects.toMatchObject({ code: 'fenced' })
      samples.mark = before
      side = await reopen()
      expect(await side.slots(1, 10, 10)).toEqual([])
    })

    test('other settings are refused, and change nothing', async () => {
      await flush([[1]])
      const other = under.create()
      opened.push(other)
      await expect(other.open('idWindow=11 keysMax=10')).rejects.toMatchObject({ code: 'other_settings' })
      await flush([[1]])
    })

    test('reading goes on beside a flush, and sees all of it or nothing', async () => {
      await flush([[1]])
      const more = Array.from({ length: 20 }, () => Array.from({ length: 100 }, (_, at) => 1 + (at % 7)))
      let flushing = true
      const running = flush(more, 10).finally(() => (flushing = false))
      const seen = new Set<number>()
      do {
        const rows = await side.slots(2, 100, 100)
        seen.add(rows.length)
      } while (flushing)
      await running
      expect([...seen].filter((count) => count !== 0 && count !== 20)).toEqual([])
      expect(await side.streamEvents(3, 0, eventsOf(samples, 3).length - 1)).toEqual(eventsOf(samples, 3))
    })

    test('a large flush', async () => {
      const slots = Array.from({ length: 64 }, (_, slot) => Array.from({ length: 300 }, (_, event) => 1 + ((slot * 300 + event) % 1500)))
      await flush(slots)
      expect(await side.streamEvents(1499, 0, 11)).toEqual(eventsOf(samples, 1499).slice(0, 12))
      expect(await side.slotsHolding(1, 64 * 300)).toEqual(samples.slots.map(row))
      expect(await side.streamsNamed(Array.from({ length: 1500 }, (_, at) => sampleName(at + 1)))).toHaveLength(1500)
    })

    test('after closing it refuses', async () => {
      await side.close()
      await side.close()
      await expect(side.streamsNamed(['a'])).rejects.toMatchObject({ code: 'closed' })
      await expect(side.flush(samples.next([[1]]))).rejects.toMatchObject({ code: 'closed' })
    })

    test('against a plain model: random flushes, crashes and reads', async () => {
      const random = seeded(20_261_103)
      for (let round = 0; round < 40; round++) {
        const slots = Array.from({ length: random(4) }, () =>
          Array.from({ length: random(6) }, () => 1 + random(samples.revisions.length + 1)),
        )
        await flush(
          slots.map((events) => dense(events, samples)),
          random(3),
          0,
        )
        if (random(5) === 0) side = await reopen()
        const stream = 1 + random(Math.max(1, samples.mark.streams))
        const expected = eventsOf(samples, stream)
        const from = random(Math.max(1, expected.length))
        if (expected.length > 0) expect(await side.streamEvents(stream, from, expected.length - 1)).toEqual(expected.slice(from))
        const position = 1 + random(Math.max(1, samples.mark.position))
        if (samples.mark.position > 0) {
          const holding = samples.slots.filter(({ count, firstPosition }) => count > 0 && firstPosition + count > position)
          expect(await side.slotsHolding(position, samples.mark.position)).toEqual(holding.map(row))
        }
      }
    })
  })
}

/** New streams are numbered without a gap, in the order of their first events, as the machine does it. */
function dense(events: readonly number[], samples: SampleFlushes): number[] {
  let known = Math.max(samples.mark.streams, samples.revisions.length - 1)
  const made = events.map((stream) => {
    if (stream <= known) return stream
    return ++known
  })
  samples.revisions.length = Math.max(samples.revisions.length, known + 1)
  return made
}

function eventsOf(samples: SampleFlushes, stream: number): EventRow[] {
  const rows: EventRow[] = []
  for (const { slot, firstPosition, streamNumbers, revisions, offsets, lengths } of samples.slots) {
    streamNumbers.forEach((number, event) => {
      if (number !== stream) return
      rows.push({
        revision: revisions[event] ?? 0,
        position: firstPosition + event,
        slot,
        offset: offsets[event] ?? 0,
        length: lengths[event] ?? 0,
      })
    })
  }
  return rows
}

function row({ slot, firstPosition, count, index }: SlotToFlush): object {
  return { slot, firstPosition, count, index }
}

/** A small linear congruential generator, so that a failure repeats. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
