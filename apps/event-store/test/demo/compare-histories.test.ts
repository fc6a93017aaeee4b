import { describe, expect, it } from 'vitest'
import {
  compareAcknowledged,
  compareHistories,
  compareStreams,
  compareWithInput,
  type Acknowledgement,
  type Input,
  type ObservedEvent,
} from '../../src/demo/compare-histories.ts'
import { flightStreams, loadFlights } from '../../src/demo/flights.ts'

// The demo's judge is itself on trial: for every kind of damage that a store can do, a history with exactly that damage.

const input: Input = flightStreams(loadFlights(300))
const intact = recordedFrom(input)

describe('the comparison with the input', () => {
  it('finds nothing in a history that is intact', () => {
    expect(intact).toHaveLength(300)
    expect(differences(intact)).toEqual([])
  })

  it('does not care how streams are interleaved', () => {
    const sorted = intact.toSorted((a, b) => (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : a.revision - b.revision))
    expect(differences(renumbered(sorted))).toEqual([])
  })

  it('finds a lost event, positions as they were', () => {
    const found = differences(intact.toSpliced(100, 1))
    expect(found).toContainEqual(
      expect.stringContaining(`event ${intact[100]?.id}, ${intact[100]?.stream} revision ${intact[100]?.revision}, is lost`),
    )
    expect(found).toContainEqual(expect.stringContaining('comes after position 100'))
  })

  it('finds a lost event, positions closed over it', () => {
    expect(differences(renumbered(intact.toSpliced(100, 1)))).toContainEqual(expect.stringContaining('is lost'))
  })

  it('finds a lost last event, of which no gap tells', () => {
    expect(differences(intact.slice(0, -1))).toEqual([expect.stringMatching(/is lost$/)])
  })

  it('finds a lost stream', () => {
    const { stream } = intact[0] as ObservedEvent
    const rest = renumbered(intact.filter((event) => event.stream !== stream))
    expect(differences(rest)).toHaveLength(input.get(stream)?.length ?? -1)
  })

  it('finds a doubled event with everything renumbered around it, as after a retry that was appended twice', () => {
    const twin = intact[100] as ObservedEvent
    const later = intact.slice(101).map((event) => (event.stream === twin.stream ? { ...event, revision: event.revision + 1 } : event))
    const doubled = renumbered([...intact.slice(0, 101), { ...twin, revision: twin.revision + 1 }, ...later])
    expect(differences(doubled)).toContainEqual(expect.stringContaining(`event ${twin.id} is doubled, it was at position 101 already`))
  })

  it('finds an event delivered twice', () => {
    expect(differences(intact.toSpliced(101, 0, intact[100] as ObservedEvent))).toContainEqual(expect.stringContaining('is doubled'))
  })

  it('finds two events of a stream in the wrong order, numbered as if it were right', () => {
    const [one, two] = [...Map.groupBy(intact, ({ stream }) => stream).values()].find(({ length }) => length > 1) as [
      ObservedEvent,
      ObservedEvent,
    ]
    const swapped = intact.map((event) => {
      if (event === one) return { ...two, revision: one.revision, position: one.position }
      return event === two ? { ...one, revision: two.revision, position: two.position } : event
    })
    const found = differences(swapped)
    expect(found).toHaveLength(2)
    expect(found[0]).toContain(`${one.id} belongs there`)
  })

  it('finds events that come out of order', () => {
    const [one, two] = intact.slice(100, 102) as [ObservedEvent, ObservedEvent]
    expect(differences(intact.toSpliced(100, 2, two, one))).toContainEqual(expect.stringContaining('comes after position 100'))
  })

  it.each<[string, (event: ObservedEvent) => ObservedEvent]>([
    ['data', (event) => ({ ...event, data: { ...(event.data as object), delay: 1_000_000 } })],
    ['data with a key less', (event) => ({ ...event, data: {} })],
    ['a type', (event) => ({ ...event, type: 'FlightCancelled' })],
    ['tags', (event) => ({ ...event, tags: [] })],
    ['metadata', (event) => ({ ...event, metadata: {} })],
  ])('finds an event with altered %s', (_, alter) => {
    const altered = intact.with(100, alter(intact[100] as ObservedEvent))
    expect(differences(altered)).toEqual([expect.stringContaining('altered to')])
  })

  it('finds an event in the stream of another airport', () => {
    const other = [...input.keys()].find((stream) => stream !== intact[100]?.stream) ?? ''
    expect(differences(intact.with(100, { ...(intact[100] as ObservedEvent), stream: other }))).not.toEqual([])
  })

  it('finds an event that nobody sent', () => {
    const stranger: ObservedEvent = { ...(intact[0] as ObservedEvent), stream: 'airport-???', revision: 0, position: 301, id: 'stranger' }
    expect(differences([...intact, stranger])).toEqual([expect.stringContaining('event stranger was never sent')])
  })

  it('finds a revision that is skipped', () => {
    const last = intact.at(-1) as ObservedEvent
    expect(differences(intact.with(-1, { ...last, revision: last.revision + 1 }))).toContainEqual(
      expect.stringContaining('should be next in this stream'),
    )
  })
})

describe('the other comparisons', () => {
  it('find a node that recorded another time, another place, or less', () => {
    const one = { name: 'n1', events: intact }
    const other = (events: readonly ObservedEvent[]): string[] => compareHistories(one, { name: 'n2', events })
    expect(other(intact.map((event) => ({ ...event })))).toEqual([])
    expect(other(intact.with(7, { ...(intact[7] as ObservedEvent), recordedAt: 'later' }))).toEqual([
      expect.stringContaining('event 8: recordedAt is'),
    ])
    expect(other(intact.with(7, intact[8] as ObservedEvent))).not.toEqual([])
    expect(other(intact.slice(0, -1))).toEqual(['n1 has 300 events, n2 has 299'])
  })

  it('find an acknowledged append that is not where its answer said', () => {
    const acknowledged: Acknowledgement[] = intact.map(({ stream, revision, position }) => ({ stream, revision, position }))
    const check = (events: readonly ObservedEvent[]): string[] => compareAcknowledged(acknowledged, { name: 'n1', events })
    expect(check(intact)).toEqual([])
    expect(check(intact.toSpliced(100, 1))).toEqual([expect.stringContaining('position 101: nothing is there')])
    expect(check(renumbered([intact[1] as ObservedEvent, intact[0] as ObservedEvent, ...intact.slice(2)]))).toHaveLength(2)
  })

  it('find a stream whose own page is not what all events say', () => {
    const streams = Map.groupBy(intact, ({ stream }) => stream)
    const check = (): string[] => compareStreams(streams, { name: 'n1', events: intact })
    expect(check()).toEqual([])
    const [stream, events] = [...streams][0] as [string, ObservedEvent[]]
    streams.set(stream, events.slice(0, -1))
    expect(check()).toContainEqual(expect.stringContaining(stream))
    streams.delete(stream)
    expect(check()).toContainEqual(expect.stringContaining('has 0 events'))
  })
})

function differences(events: readonly ObservedEvent[]): string[] {
  return compareWithInput(input, { name: 'n1', events })
}

/** As a store without fault shows it: streams by turns. */
function recordedFrom(streams: Input): ObservedEvent[] {
  const longest = Math.max(...[...streams.values()].map((events) => events.length))
  const recordedAt = '2026-11-23T00:00:00.000Z'
  return Array.from({ length: longest }, (_, revision) => revision)
    .flatMap((revision) =>
      [...streams].flatMap(([stream, events]) => {
        const sent = events[revision]
        return sent === undefined
          ? []
          : [{ ...sent, data: structuredClone(sent.data), stream, revision, position: 0, metadata: null, recordedAt }]
      }),
    )
    .map((event, index) => ({ ...event, position: index + 1 }))
}

function renumbered(events: readonly ObservedEvent[]): ObservedEvent[] {
  return events.map((event, index) => ({ ...event, position: index + 1 }))
}
