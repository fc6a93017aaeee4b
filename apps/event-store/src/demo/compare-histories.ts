/**
 * The judge of the demo: what was sent against what is there. Plain functions of plain data, so that a test can show that each
 * kind of damage (lost, doubled, reordered, altered) is found. Each returns what differs, in words; nothing is the good answer.
 */
import { isDeepStrictEqual } from 'node:util'
import type { FlightEvent } from './flights.ts'

/** An event as the HTTP surface shows it. */
export interface ObservedEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly metadata: unknown
  readonly tags: readonly string[]
  readonly recordedAt: string
}

/** All events as somebody saw them, in the order seen. */
export interface History {
  /** Who saw it: `n1`, `the subscriber`. */
  readonly name: string
  readonly events: readonly ObservedEvent[]
}

/** The answer to an append: stream, revision and position of its last event. */
export interface Acknowledgement {
  readonly stream: string
  readonly revision: number
  readonly position: number
}

export type Input = ReadonlyMap<string, readonly FlightEvent[]>

/** Every event of the input once, in its stream's order, unaltered; positions dense from 1; nothing else. */
export function compareWithInput(input: Input, { name, events }: History): string[] {
  const differences: string[] = []
  const next = new Map<string, number>()
  const placeOf = new Map<string, number>()
  let position = 0
  for (const event of events) {
    const at = `${name}, position ${event.position}, ${event.stream} revision ${event.revision}`
    if (event.position !== position + 1) differences.push(`${at}: comes after position ${position}`)
    position = event.position
    const earlier = placeOf.get(event.id)
    if (earlier !== undefined) differences.push(`${at}: event ${event.id} is doubled, it was at position ${earlier} already`)
    placeOf.set(event.id, event.position)
    const revision = next.get(event.stream) ?? 0
    if (event.revision !== revision) differences.push(`${at}: revision ${revision} should be next in this stream`)
    next.set(event.stream, event.revision + 1)
    const difference = differenceOf(input.get(event.stream)?.[event.revision], event)
    if (difference !== undefined) differences.push(`${at}: ${difference}`)
  }
  for (const [stream, sent] of input) {
    for (const [revision, { id }] of sent.entries()) {
      if (!placeOf.has(id)) differences.push(`${name}: event ${id}, ${stream} revision ${revision}, is lost`)
    }
  }
  return differences
}

/** The same event at the same place in both, down to the time of recording. */
export function compareHistories(one: History, other: History): string[] {
  const differences: string[] = []
  if (one.events.length !== other.events.length) {
    differences.push(`${one.name} has ${one.events.length} events, ${other.name} has ${other.events.length}`)
  }
  for (const [index, event] of one.events.entries()) {
    const twin = other.events[index]
    if (twin === undefined) break
    const fields = Object.keys({ ...event, ...twin }) as (keyof ObservedEvent)[]
    const unequal = fields.filter((field) => !isDeepStrictEqual(event[field], twin[field]))
    for (const field of unequal) {
      const values = `${JSON.stringify(event[field])} at ${one.name} and ${JSON.stringify(twin[field])} at ${other.name}`
      differences.push(`event ${index + 1}: ${field} is ${values}`)
    }
  }
  return differences
}

/** Every acknowledged append is where its answer said. */
export function compareAcknowledged(acknowledged: readonly Acknowledgement[], { name, events }: History): string[] {
  const byPosition = new Map(events.map((event) => [event.position, event]))
  return acknowledged.flatMap(({ stream, revision, position }) => {
    const found = byPosition.get(position)
    if (found?.stream === stream && found.revision === revision) return []
    const is = found === undefined ? 'nothing' : `${found.stream} revision ${found.revision}`
    return [`${name}, position ${position}: ${is} is there, acknowledged was ${stream} revision ${revision}`]
  })
}

/** The streams, read one by one, hold what the history of all events holds. */
export function compareStreams(streams: ReadonlyMap<string, readonly ObservedEvent[]>, { name, events }: History): string[] {
  const grouped = Map.groupBy(events, ({ stream }) => stream)
  return [...new Set([...grouped.keys(), ...streams.keys()])].flatMap((stream) =>
    compareHistories(
      { name: `${name} in ${stream}`, events: streams.get(stream) ?? [] },
      { name: `${name} in all events of ${stream}`, events: grouped.get(stream) ?? [] },
    ),
  )
}

function differenceOf(sent: FlightEvent | undefined, { id, type, data, metadata, tags }: ObservedEvent): string | undefined {
  if (sent === undefined) return `event ${id} was never sent`
  if (sent.id !== id) return `event ${id} is there, ${sent.id} belongs there`
  const found = { id, type, data, metadata, tags }
  const wanted = { ...sent, metadata: null }
  if (isDeepStrictEqual(found, wanted)) return undefined
  return `altered to ${JSON.stringify(found)}, sent was ${JSON.stringify(wanted)}`
}
