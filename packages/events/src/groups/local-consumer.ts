/**
 * A consumer at this node: what waits to be told to it, and what it was given and has not answered. Events are taken for it when it
 * asks and has room, so nothing waits here but notices, and these are bounded by what it was given.
 */
import type { EventStoreError } from '../event-store-error.ts'
import type { ConsumeOptions, GroupEvent, GroupMessage } from './consumer-groups.ts'
import type { PartitionFeed } from './partition-feed.ts'

export interface Given {
  readonly feed: PartitionFeed
  /** By the node's monotonic clock. */
  readonly at: number
}

/** What its group does for it. */
export interface EventSource {
  hasEvents(consumer: LocalConsumer): boolean
  /** Up to so many bytes, one event at least, when there are any. */
  takeEvents(consumer: LocalConsumer, bytesMax: number): readonly GroupEvent[]
}

type Notice = Exclude<GroupMessage, { kind: 'events' }>

export class LocalConsumer {
  readonly name: string
  /** Of its membership: another one when it had to join again. 0: none yet. */
  number = 0
  state: 'joining' | 'member' | 'leaving' = 'joining'
  /** It was told that it had joined; a later state may know better. */
  hasJoined = false
  /** The generation that it was told last. */
  told: number | undefined
  /** When it gives up to join, if it never was a member. */
  readonly joinBy: number
  /** In the present generation, by position. */
  readonly given = new Map<number, Given>()
  /** How many it may be given without an answer. A consumer that answers late takes on more than it can do: it gets less for a while. */
  window: number
  readonly #windowMax: number
  #lateAt: number | undefined
  readonly #room: () => number | Promise<number>
  #notices: Notice[] = []
  #wake: (() => void) | undefined
  #credit: number | undefined
  #isAsking = false
  #ended: { readonly error: Error | undefined } | undefined

  constructor(
    name: string,
    { room = () => 1 }: ConsumeOptions,
    { joinBy, windowMax }: { readonly joinBy: number; readonly windowMax: number },
  ) {
    this.name = name
    this.joinBy = joinBy
    this.window = this.#windowMax = windowMax
    this.#room = room
  }

  get isEnded(): boolean {
    return this.#ended !== undefined
  }

  /** Neighbours of one kind and generation become one. */
  tell(notice: Notice): void {
    const last = this.#notices.at(-1)
    if (notice.kind === 'assigned') this.told = notice.generation
    else if (notice.positions.length === 0) return
    else if (last !== undefined && last.kind === notice.kind && last.generation === notice.generation) {
      this.#notices[this.#notices.length - 1] = { ...notice, positions: [...last.positions, ...notice.positions] }
      return
    }
    // What was assigned and never read is of no interest any more.
    if (notice.kind === 'assigned') this.#notices = this.#notices.filter(({ kind }) => kind !== 'assigned')
    this.#notices.push(notice)
    this.wake()
  }

  wake(): void {
    this.#wake?.()
  }

  get hasWindow(): boolean {
    return this.given.size < Math.floor(this.window)
  }

  /** One more for each window's worth of answers. */
  onAnswered(): void {
    this.window = Math.min(this.#windowMax, this.window + 1 / this.window)
  }

  /** Half, once for all that are late together. */
  onLate(now: number): void {
    if (this.#lateAt === now) return
    this.#lateAt = now
    this.window = Math.max(1, this.window / 2)
  }

  /** With an error, or because its reader wants no more. The first counts. */
  end(error?: EventStoreError): void {
    this.#ended ??= { error }
    this.wake()
  }

  async *messages(source: EventSource): AsyncGenerator<GroupMessage, void, undefined> {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      if (this.#ended !== undefined) {
        if (this.#ended.error !== undefined) throw this.#ended.error
        return
      }
      const message = this.#notices.shift() ?? this.#events(source)
      if (message === undefined) await promise
      else yield message
    }
  }

  #events(source: EventSource): GroupMessage | undefined {
    if (!source.hasEvents(this)) return undefined
    if (this.#credit === undefined) {
      this.#ask()
      // It may have answered at once.
      if (this.#credit === undefined) return undefined
    }
    const bytesMax: number = this.#credit
    const events = source.takeEvents(this, bytesMax)
    if (events.length === 0) return undefined
    this.#credit = undefined
    return { kind: 'events', generation: this.told ?? 0, events }
  }

  /** Notices go on while the answer is waited for. */
  #ask(): void {
    if (this.#isAsking) return
    const room = this.#room()
    if (typeof room === 'number') {
      this.#credit = room
      return
    }
    this.#isAsking = true
    room.then(
      (bytes) => {
        this.#isAsking = false
        this.#credit = bytes
        this.wake()
      },
      (error: unknown) => {
        this.#ended ??= { error: error instanceof Error ? error : new Error(String(error)) }
        this.wake()
      },
    )
  }
}
