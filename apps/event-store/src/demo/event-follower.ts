import { connect } from '@synod/client'
import type { ObservedEvent } from './compare-histories.ts'

/**
 * A subscriber to all events. What it got is kept in the order in which it came, unsorted: the comparison says whether that is every
 * position once.
 */
export class EventFollower {
  readonly #client: ReturnType<typeof connect>
  readonly #events: ObservedEvent[] = []
  readonly #problems: string[] = []
  #running: Promise<void> | undefined

  /** @param url of the node where it begins; the client goes on at others by itself */
  constructor(url: string) {
    this.#client = connect({ nodes: [url] })
  }

  /** In the order in which they came. */
  get events(): readonly ObservedEvent[] {
    return this.#events
  }

  /** Why it ended, if it ended by itself. */
  get problems(): readonly string[] {
    return this.#problems
  }

  /** Nodes where it subscribed, one after the other. */
  get subscriptions(): number {
    return 1 + this.#client.status().counters.resumptions
  }

  /** Follows from the start of the store until `stop`. */
  follow(signal: AbortSignal): void {
    this.#running ??= this.#follow(signal)
  }

  async stop(): Promise<void> {
    await this.#client.close()
    await this.#running
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      for await (const message of this.#client.subscribe({ signal })) {
        if (message.kind !== 'event') continue
        const { revision, position, metadata, recordedAt, ...same } = message.event
        this.#events.push({
          ...same,
          revision: Number(revision),
          position: Number(position),
          metadata: metadata ?? null,
          recordedAt: recordedAt.toISOString(),
        })
      }
    } catch (error) {
      if (!signal.aborted && !this.#client.status().isClosed) this.#problems.push(`the subscriber: ${(error as Error).message}`)
    }
  }
}
