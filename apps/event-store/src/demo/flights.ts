import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const flightSchema = z.strictObject({
  /** Local time of departure, `2001/01/01 00:47`. */
  date: z.string(),
  /** Minutes; negative is early. */
  delay: z.number(),
  /** Miles. */
  distance: z.number(),
  /** Airports, three letters. */
  origin: z.string(),
  destination: z.string(),
})

export type Flight = z.infer<typeof flightSchema>

/** What is sent of a flight, and has to come back as it was sent. */
export interface FlightEvent {
  /** Drawn once: an append that is sent again carries the same. */
  readonly id: string
  readonly type: string
  readonly data: Flight
  readonly tags: readonly string[]
}

/** The first `count` of 20,000 real flights, in the order of departure. They are part of `vega-datasets`, which does not export them. */
export function loadFlights(count: number): Flight[] {
  const entry = fileURLToPath(import.meta.resolve('vega-datasets'))
  const file = join(dirname(entry), '..', 'data', 'flights-20k.json')
  return z
    .array(flightSchema)
    .parse(JSON.parse(readFileSync(file, 'utf8')))
    .slice(0, count)
}

/** One stream an airport, by origin; the index of a flight in its list is the revision that it will have. */
export function flightStreams(flights: readonly Flight[]): ReadonlyMap<string, readonly FlightEvent[]> {
  const streams = new Map<string, FlightEvent[]>()
  for (const data of flights) {
    const stream = `airport-${data.origin}`
    const event = { id: randomUUID(), type: 'FlightDeparted', data, tags: [`destination:${data.destination}`] }
    const events = streams.get(stream)
    if (events === undefined) streams.set(stream, [event])
    else events.push(event)
  }
  return streams
}
