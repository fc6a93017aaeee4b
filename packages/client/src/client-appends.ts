/** Appends as a caller gives them: checked, encoded once, and sent on their way. */
import type { Bytes } from '@synod/codec'
import type { AppendParts } from './append-request.ts'
import { expectedMessage, requireNothingElse, toArray, toChecks, toCondition, toExpected, toObject, toStream } from './arguments.ts'
import { AtomicAppend, type AtomicWrites as EncodedWrites } from './atomic-append.ts'
import type { Appended, AppendOptions, AtomicallyAppended, AtomicWrites } from './client.ts'
import { ClientClosedError, InvalidArgumentError, TooLargeError } from './client-error.ts'
import type { ClientCounters } from './client-status.ts'
import type { EventCodec } from './event-codec.ts'
import type { NewEvent } from './event-types.ts'
import { messageBytesMax } from './node-connection.ts'
import type { PendingRequest } from './pending-request.ts'
import { StreamAppend } from './stream-append.ts'

export interface AppendHome {
  /** Milliseconds. */
  readonly timeout: number
  readonly counters: ClientCounters
  isClosed(): boolean
  submit(request: PendingRequest<unknown>): void
}

type Events = NewEvent | readonly NewEvent[]
type SignalOption = { readonly signal?: AbortSignal }

export class ClientAppends {
  readonly #codec: EventCodec
  readonly #home: AppendHome

  constructor(codec: EventCodec, home: AppendHome) {
    this.#codec = codec
    this.#home = home
  }

  append(stream: string, events: Events, { expected: given, signal }: AppendOptions): Promise<Appended> {
    try {
      const expected = toExpected(given)
      toStream(stream)
      this.#requireOpen(signal)
      const records = this.#codec.encode(toEvents(events, 'an append'))
      const submit = (encoded: readonly Bytes[]): Promise<Appended> =>
        this.#submit(new StreamAppend(stream, expected, this.#parts(encoded, 0, signal)), signal)
      return records instanceof Promise ? records.then(submit) : submit(records)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  appendAtomically(given: AtomicWrites, { signal }: SignalOption): Promise<AtomicallyAppended> {
    try {
      const { writes, checks, condition, ...rest } = toObject(given, 'an atomic append', '{ writes, checks, condition }')
      requireNothingElse(rest, 'an atomic append', 'writes, checks and condition')
      const list = toArray(writes, 'writes').map(toWrite)
      if (list.length === 0) throw new InvalidArgumentError('an atomic append needs at least one write')
      const parts = { checks: toChecks(checks), condition: toCondition(condition) }
      this.#requireOpen(signal)
      const records = this.#codec.encode(list.flatMap(({ events }) => events))
      const submit = (encoded: readonly Bytes[]): Promise<AtomicallyAppended> => this.#submitAtomically(list, parts, encoded, signal)
      return records instanceof Promise ? records.then(submit) : submit(records)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #submitAtomically(
    list: readonly GivenWrite[],
    { checks, condition }: { readonly checks: EncodedWrites['checks']; readonly condition: EncodedWrites['condition'] | undefined },
    records: readonly Bytes[],
    signal: AbortSignal | undefined,
  ): Promise<AtomicallyAppended> {
    let at = 0
    const writes = list.map(({ stream, expected, events }) => ({ stream, expected, records: records.slice(at, (at += events.length)) }))
    const encoded = { writes, checks, ...(condition !== undefined && { condition }) }
    return this.#submit(new AtomicAppend(encoded, this.#parts(records, bytesBeside(encoded), signal)), signal)
  }

  #requireOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#home.isClosed()) throw new ClientClosedError()
  }

  /** @throws TooLargeError */
  #parts(records: readonly Bytes[], bytesBesides: number, signal: AbortSignal | undefined): AppendParts {
    const bytes = records.reduce((sum, record) => sum + record.length, bytesBesides)
    if (bytes > messageBytesMax)
      throw new TooLargeError(`an append of ${bytes} bytes: at most ${messageBytesMax} fit into a message, split it`)
    const { timeout, counters } = this.#home
    return { records, bytes, signal, timeout, counters }
  }

  #submit<T>(request: PendingRequest<T>, signal: AbortSignal | undefined): Promise<T> {
    // A check that takes its time may have seen either come.
    if (signal?.aborted) request.fail(signal.reason)
    else if (this.#home.isClosed()) request.fail(new ClientClosedError())
    else this.#home.submit(request)
    return request.promise
  }
}

interface GivenWrite {
  readonly stream: string
  readonly expected: EncodedWrites['writes'][number]['expected']
  readonly events: readonly NewEvent[]
}

function toWrite(given: unknown): GivenWrite {
  const { stream, events, expected, ...rest } = toObject(given, 'a write', '{ stream, events, expected }')
  requireNothingElse(rest, 'a write', 'stream, events and expected')
  toStream(stream)
  const list = toEvents(events as Events, `the write to stream ${JSON.stringify(stream)}`)
  return { stream: stream as string, expected: expectedMessage(toExpected(expected)), events: list }
}

function toEvents(events: Events, what: string): readonly NewEvent[] {
  const list = Array.isArray(events) ? (events as readonly NewEvent[]) : [events as NewEvent]
  if (list.length === 0) throw new InvalidArgumentError(`${what} needs at least one event`)
  return list
}

/** Three bytes a UTF-16 unit at most, and lengths. */
function bytesBeside({ writes, checks, condition }: EncodedWrites): number {
  const textBytes = (texts: readonly string[] = []): number => texts.reduce((sum, text) => sum + 3 * text.length + 4, 0)
  const streams = [...writes, ...checks].reduce((sum, { stream }) => sum + 3 * stream.length + 32, 0)
  const items = condition?.failIfEventsMatch.items ?? []
  return items.reduce((sum, { types, tags }) => sum + textBytes(types) + textBytes(tags) + 8, streams)
}
