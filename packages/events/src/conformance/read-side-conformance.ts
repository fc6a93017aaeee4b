/**
 * What every read side must do. Call it in a test file with a factory; it needs vitest and nothing else but the port.
 */
import { describe, expect, test } from 'vitest'
import type { EventRow, SlotToFlush } from '../read-side.ts'
import { cellsConformance } from './cells-conformance.ts'
import { postingsConformance } from './postings-conformance.ts'
import { sampleName, type SampleFlushes } from './sample-flush.ts'
import { seeded, SideUnderTest, type ReadSideUnderTest } from './side-under-test.ts'

export function readSideConformance(name: string, make: () => Promise<ReadSideUnderTest>): void {
  describe(`${name} is a ReadSide`, () => {
    const use = new SideUnderTest(make)
    postingsConformance(use)
    cellsConformance(use)

    test('an empty one knows nothing', async () => {
      expect(await use.side.streamsNamed(['a'])).toEqual([])
      expect(await use.side.slots(1, 100, 10)).toEqual([])
      expect(await use.side.keys(0, 10)).toEqual([])
    })

    test('a stream is found by its name, with the revision of its last event', async () => {
      await use.flush([[1, 2, 1], [1]])
      await use.flush([[3, 2]])
      const rows = await use.side.streamsNamed([1, 2, 3, 4].map(sampleName))
      expect(rows.toSorted((a, b) => a.number - b.number)).toEqual([
        { number: 1, name: sampleName(1), revision: 2 },
        { number: 2, name: sampleName(2), revision: 1 },
        { number: 3, name: sampleName(3), revision: 0 },
      ])
      const names = await use.side.streamsNumbered([3, 1])
      expect(names.toSorted((a, b) => a.number - b.number)).toEqual([
        { number: 1, name: sampleName(1) },
        { number: 3, name: sampleName(3) },
      ])
    })

    test('a number without a stream is damage', async () => {
      await expect(use.side.streamsNumbered([7])).rejects.toMatchObject({ code: 'damaged' })
    })

    test('events of a stream, any range, ascending', async () => {
      await use.flush([[1, 2, 1], [2, 1, 1], [1]])
      expect(await use.side.streamEvents(1, 0, 4)).toEqual(eventsOf(use.samples, 1))
      expect(await use.side.streamEvents(1, 2, 3)).toEqual(eventsOf(use.samples, 1).slice(2, 4))
      expect(await use.side.streamEvents(2, 1, 1)).toEqual(eventsOf(use.samples, 2).slice(1))
    })

    test('events of a stream that gets thousands in a flush, across flushes', async () => {
      const slot = Array.from({ length: 700 }, (_, event) => (event % 7 === 3 ? 2 : 1))
      await use.flush([slot, slot, slot])
      await use.flush([[1, 1], slot])
      const [all, others] = [eventsOf(use.samples, 1), eventsOf(use.samples, 2)]
      expect(await use.side.streamEvents(1, 0, all.length - 1)).toEqual(all)
      expect(await use.side.streamEvents(2, 0, others.length - 1)).toEqual(others)
      for (const [from, to] of [
        [511, 512],
        [512, 512],
        [1023, 1030],
        [1799, 1802],
        [600, 2000],
      ] as const)
        expect(await use.side.streamEvents(1, from, to)).toEqual(all.slice(from, to + 1))
      expect(await use.side.streamsNamed([sampleName(1)])).toMatchObject([{ revision: all.length - 1 }])
    })

    test('a revision that is not there is damage', async () => {
      await use.flush([[1]])
      await expect(use.side.streamEvents(1, 0, 1)).rejects.toMatchObject({ code: 'damaged' })
      await expect(use.side.streamEvents(2, 0, 0)).rejects.toMatchObject({ code: 'damaged' })
    })

    test('slots by position: those that hold the ends and all between, without empty ones', async () => {
      await use.flush([[1, 1, 1], [], [2, 2], [], [], [1, 2, 3, 4]])
      const [first, , second, , , third] = use.samples.slots.map(row)
      expect(await use.side.slotsHolding(1, 1)).toEqual([first])
      expect(await use.side.slotsHolding(3, 4)).toEqual([first, second])
      expect(await use.side.slotsHolding(4, 5)).toEqual([second])
      expect(await use.side.slotsHolding(2, 9)).toEqual([first, second, third])
      expect(await use.side.slotsHolding(9, 9)).toEqual([third])
      await expect(use.side.slotsHolding(9, 10)).rejects.toMatchObject({ code: 'damaged' })
      expect(await use.side.slotsAt([])).toEqual([])
      expect(await use.side.slotsAt([3])).toEqual([first])
      expect(await use.side.slotsAt([1, 2, 9])).toEqual([first, third])
      expect(await use.side.slotsAt([1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual([first, second, third])
      await expect(use.side.slotsAt([9, 10])).rejects.toMatchObject({ code: 'damaged' })
    })

    test('slots by number, those without events included, a page at a time', async () => {
      await use.flush([[1], [], [2]])
      expect(await use.side.slots(1, 3, 10)).toEqual(use.samples.slots.map(row))
      expect(await use.side.slots(2, 3, 1)).toEqual(use.samples.slots.slice(1, 2).map(row))
      expect(await use.side.slots(4, 9, 1)).toEqual([])
    })

    test('keys in order, from anywhere, without the forgotten', async () => {
      await use.flush([[1]], 5)
      await use.flush([[1]], 3, 4)
      expect(await use.side.keys(0, 100)).toEqual(use.samples.keys.slice(4))
      expect(await use.side.keys(6, 1)).toEqual(use.samples.keys.slice(6, 7))
    })

    test('a mark that moves without events', async () => {
      await use.flush([[1]])
      const from = use.samples.mark
      use.samples.mark = { ...from, slot: 1000 }
      await use.side.flush({ from, to: use.samples.mark, streams: [], slots: [], keys: [], keysForgotten: 0, postings: [], cells: [] })
      await use.flush([[1]])
      await use.reopen()
    })

    test('what was flushed is there after another opening', async () => {
      await use.flush([[1, 2], [3]], 2)
      use.side = await use.reopen()
      expect(await use.side.streamEvents(2, 0, 0)).toEqual(eventsOf(use.samples, 2))
      expect(await use.side.keys(0, 10)).toEqual(use.samples.keys)
      await use.flush([[1, 4]])
      use.side = await use.reopen()
      expect(await use.side.streamEvents(1, 0, 1)).toEqual(eventsOf(use.samples, 1))
    })

    test('a former owner is fenced and leaves nothing', async () => {
      await use.flush([[1]])
      const successor = await use.reopen()
      await expect(use.flush([[1, 2]])).rejects.toMatchObject({ code: 'fenced' })
      expect(await successor.streamsNamed([sampleName(2)])).toEqual([])
      await expect(successor.streamEvents(1, 0, 1)).rejects.toMatchObject({ code: 'damaged' })
    })

    test('a flush that does not begin where the last one ended is refused', async () => {
      const before = use.samples.mark
      use.samples.next([[1]])
      await expect(use.flush([[1]])).rejects.toMatchObject({ code: 'fenced' })
      use.samples.mark = before
      use.side = await use.reopen()
      expect(await use.side.slots(1, 10, 10)).toEqual([])
    })

    test('other settings are refused, and change nothing', async () => {
      await use.flush([[1]])
      const other = use.another()
      await expect(other.open('idWindow=11 keysMax=10')).rejects.toMatchObject({ code: 'other_settings' })
      await use.flush([[1]])
    })

    test('reading goes on beside a flush, and sees all of it or nothing', async () => {
      await use.flush([[1]])
      const more = Array.from({ length: 20 }, () => Array.from({ length: 100 }, (_, at) => 1 + (at % 7)))
      let flushing = true
      const running = use.flush(more, 10).finally(() => (flushing = false))
      const seen = new Set<number>()
      do {
        const rows = await use.side.slots(2, 100, 100)
        seen.add(rows.length)
      } while (flushing)
      await running
      expect([...seen].filter((count) => count !== 0 && count !== 20)).toEqual([])
      expect(await use.side.streamEvents(3, 0, eventsOf(use.samples, 3).length - 1)).toEqual(eventsOf(use.samples, 3))
    })

    test('a large flush', async () => {
      const slots = Array.from({ length: 64 }, (_, slot) => Array.from({ length: 300 }, (_, event) => 1 + ((slot * 300 + event) % 1500)))
      await use.flush(slots)
      expect(await use.side.streamEvents(1499, 0, 11)).toEqual(eventsOf(use.samples, 1499).slice(0, 12))
      expect(await use.side.slotsHolding(1, 64 * 300)).toEqual(use.samples.slots.map(row))
      expect(await use.side.streamsNamed(Array.from({ length: 1500 }, (_, at) => sampleName(at + 1)))).toHaveLength(1500)
    })

    test('after closing it refuses', async () => {
      await use.side.close()
      await use.side.close()
      await expect(use.side.streamsNamed(['a'])).rejects.toMatchObject({ code: 'closed' })
      await expect(use.side.flush(use.samples.next([[1]]))).rejects.toMatchObject({ code: 'closed' })
    })

    test('against a plain model: random flushes, crashes and reads', async () => {
      const random = seeded(20_261_103)
      for (let round = 0; round < 40; round++) {
        const slots = Array.from({ length: random(4) }, () =>
          Array.from({ length: random(6) }, () => 1 + random(use.samples.revisions.length + 1)),
        )
        await use.flush(
          slots.map((events) => dense(events, use.samples)),
          random(3),
          0,
        )
        if (random(5) === 0) use.side = await use.reopen()
        const stream = 1 + random(Math.max(1, use.samples.mark.streams))
        const expected = eventsOf(use.samples, stream)
        const from = random(Math.max(1, expected.length))
        if (expected.length > 0) expect(await use.side.streamEvents(stream, from, expected.length - 1)).toEqual(expected.slice(from))
        const position = 1 + random(Math.max(1, use.samples.mark.position))
        if (use.samples.mark.position > 0) {
          const holding = use.samples.slots.filter(({ count, firstPosition }) => count > 0 && firstPosition + count > position)
          expect(await use.side.slotsHolding(position, use.samples.mark.position)).toEqual(holding.map(row))
          const some = Array.from({ length: 3 }, () => 1 + random(use.samples.mark.position)).toSorted((a, b) => a - b)
          const at = use.samples.slots.filter(({ count, firstPosition }) =>
            some.some((one) => one >= firstPosition && one < firstPosition + count),
          )
          expect(await use.side.slotsAt(some)).toEqual(at.map(row))
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
