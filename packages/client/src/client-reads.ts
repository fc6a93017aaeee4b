/** Reads as a caller gives them: checked, and taken page by page. */
import { toFilter, toFrom, toLimit, toQuery, toStream, toWord } from './arguments.ts'
import type { QueryOptions, QueryResult, ReadAllOptions } from './client.ts'
import { InvalidArgumentError } from './client-error.ts'
import type { EventCodec } from './event-codec.ts'
import type { EventFilter, EventQuery } from './event-query.ts'
import { EventReading, type ReadRange } from './event-reading.ts'
import type { RecordedEvent } from './event-types.ts'
import type { PageQuery, PageRequest } from './page-request.ts'

/** Of one answer, which is held in memory. */
const queryEventsMax = 65_536
const queryEventsDefault = 4096

type Ask = (query: PageQuery, signal: AbortSignal | undefined) => PageRequest

export class ClientReads {
  readonly #codec: EventCodec
  readonly #ask: Ask

  constructor(codec: EventCodec, ask: Ask) {
    this.#codec = codec
    this.#ask = ask
  }

  /** @throws InvalidArgumentError at once; all else when it is iterated */
  events(stream: string | undefined, options: ReadAllOptions): AsyncIterable<RecordedEvent> {
    const range = toRange(stream, options)
    return { [Symbol.asyncIterator]: () => this.#begin(range) }
  }

  async query(filter: EventFilter, options: QueryOptions): Promise<QueryResult> {
    const limit = toLimit(options.limit ?? queryEventsDefault)
    if (limit > queryEventsMax) throw new InvalidArgumentError(`limit is ${limit}: at most ${queryEventsMax} events fit into one answer`)
    const reading = this.#begin(toRange(undefined, { ...options, limit, direction: 'forward', filter: toFilter(filter) ?? {} }))
    const events: RecordedEvent[] = []
    const isEnd = await takeAll(reading, (event) => events.push(event))
    return { events, position: BigInt(reading.considered ?? 0), isEnd }
  }

  /** Takes all events of a stream; the revision of the last one, whether it is left out or not; undefined: none is visible. */
  async readStream(stream: string, take: (event: RecordedEvent) => void, signal: AbortSignal | undefined): Promise<bigint | undefined> {
    const reading = this.#begin(toRange(stream, signal ? { signal } : {}))
    await takeAll(reading, take)
    return reading.lastRevision === undefined ? undefined : BigInt(reading.lastRevision)
  }

  /** Takes all events that match; the position up to which all were considered. */
  async readQuery(query: EventQuery, take: (event: RecordedEvent) => void, signal: AbortSignal | undefined): Promise<bigint> {
    const reading = this.#begin(toRange(undefined, { filter: toQuery(query), ...(signal && { signal }) }))
    await takeAll(reading, take)
    return BigInt(reading.considered ?? 0)
  }

  #begin(range: ReadRange): EventReading {
    return new EventReading(range, this.#codec, (query) => this.#ask(query, range.signal))
  }
}

/** Whether it reached the end of what is there. */
async function takeAll(reading: EventReading, take: (event: RecordedEvent) => void): Promise<boolean> {
  for await (const event of { [Symbol.asyncIterator]: () => reading }) take(event)
  return reading.isAtEnd
}

function toRange(stream: string | undefined, options: ReadAllOptions): ReadRange {
  if (stream !== undefined) toStream(stream)
  const filter = toFilter(options.filter)
  if (stream !== undefined && filter !== undefined) throw new InvalidArgumentError('a filter is for all events: readAll takes one')
  return {
    stream,
    filter,
    from: toFrom(options.from, 'from'),
    direction: toWord(options.direction, 'direction', ['forward', 'backward']),
    consistency: toWord(options.consistency, 'consistency', ['linearizable', 'local']),
    atLeast: toFrom(options.atLeast, 'atLeast'),
    limit: toLimit(options.limit),
    signal: options.signal,
  }
}
