/**
 * A subscriber to all events over server-sent events. When its connection ends, or says nothing for longer than a live node may,
 * it goes on at the next node behind the last id that it saw. What it got is kept in the order in which it came, unsorted: the
 * comparison says whether that is every position once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { ObservedEvent } from './compare-histories.ts'

/** A live node writes at least a comment line in every second. */
const silenceMillisecondsMax = 5_000
const pauseMilliseconds = 100

export class EventFollower {
  readonly #urls: readonly string[]
  readonly #events: ObservedEvent[] = []
  readonly #problems: string[] = []
  readonly #ending = new AbortController()
  #lastEventId = ''
  #connections = 0
  #running: Promise<void> | undefined

  constructor(urls: readonly string[]) {
    this.#urls = urls
  }

  /** In the order in which they came. */
  get events(): readonly ObservedEvent[] {
    return this.#events
  }

  /** What a node must not have sent. */
  get problems(): readonly string[] {
    return this.#problems
  }

  /** How often it subscribed; the first time included. */
  get connections(): number {
    return this.#connections
  }

  /** Follows from the start of the store until `stop`, at first at the node with this index. */
  follow(first: number): void {
    this.#running ??= this.#keepFollowing(first)
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #keepFollowing(first: number): Promise<void> {
    for (let node = first; !this.#ending.signal.aborted; node = (node + 1) % this.#urls.length) {
      try {
        await this.#followAt(this.#urls[node] ?? '')
      } catch {
        // A node that died, is starting or went silent: the next one has the same events.
      }
      await sleep(pauseMilliseconds)
    }
  }

  /** Until the connection ends. */
  async #followAt(url: string): Promise<void> {
    const connection = new AbortController()
    const silence = setTimeout(() => connection.abort(), silenceMillisecondsMax)
    const signal = AbortSignal.any([connection.signal, this.#ending.signal])
    const headers = { accept: 'text/event-stream', ...(this.#lastEventId !== '' && { 'last-event-id': this.#lastEventId }) }
    try {
      const response = await fetch(new URL('/events/subscription?from=0', url), { headers, signal })
      if (response.status !== 200 || response.body === null) return connection.abort()
      this.#connections++
      const decoder = new TextDecoder()
      const parser = createParser({ onEvent: (message) => this.#take(message, url) })
      for await (const chunk of response.body) {
        silence.refresh()
        parser.feed(decoder.decode(chunk, { stream: true }))
      }
    } finally {
      clearTimeout(silence)
      connection.abort()
    }
  }

  #take({ id, event, data }: EventSourceMessage, url: string): void {
    if (id !== undefined) this.#lastEventId = id
    if (event !== 'event') return
    const observed = JSON.parse(data) as ObservedEvent
    if (id !== String(observed.position)) this.#problems.push(`the subscriber got position ${observed.position} with id ${id} from ${url}`)
    this.#events.push(observed)
  }
}
