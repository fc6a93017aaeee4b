/**
 * Who waits for the head to advance: of all events, of one stream, or of events that pass a filter. A reader takes a ticket
 * first and looks second, so nothing can come between: as long as its ticket has not fired, nothing that is for it was applied
 * since. Wakes run together, once a turn of the event loop.
 *
 * Those with filters are found by what an event carries, so that an append costs what it concerns, whatever else is waited for.
 * A filter is entered under keys of which each event that passes has one: of each of its items a tag, or all its types; without
 * items its categories, or its prefixes. The candidates of an event are then asked exactly, and the others never hear of it.
 */
import type { Scheduler } from '@synod/transport'
import { contentMatches, streamMatches, typeAndTagsOf, type TypeAndTags } from './event-filter.ts'
import type { EventFilter } from './event-store.ts'
import type { SlotRecord } from './slot-record.ts'
import { categoryOf } from './terms.ts'

/** Nothing asked for: every event. */
export interface Interest {
  readonly stream?: string | undefined
  /** As `checkFilter` gives it. */
  readonly filter?: EventFilter | undefined
}

/** A ticket that calls. */
export interface Watch {
  /** Of the first event for it that was applied since it was taken; undefined while there is none. */
  readonly position: number | undefined
  /** To be called in any case, fired or not. */
  cancel(): void
}

/** A ticket to wait with. */
export interface Ticket extends Watch {
  /** Resolves once something for it was applied since it was taken, or it was woken. */
  readonly fired: Promise<void>
  wake(): void
}

type Group = Set<Waiting>

const noKeys: readonly string[] = []

class Waiting implements Watch {
  readonly interest: Interest
  readonly keys: readonly string[]
  position: number | undefined
  readonly #wake: () => void
  readonly #leave: (waiting: Waiting) => void
  #isOver = false

  constructor(interest: Interest, wake: () => void, leave: (waiting: Waiting) => void) {
    this.interest = interest
    this.keys = interest.filter === undefined ? noKeys : keysOf(interest.filter)
    this.#wake = wake
    this.#leave = leave
  }

  wake(): void {
    if (!this.#isOver) this.#wake()
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.position === undefined) this.#leave(this)
  }
}

export class Advance {
  readonly #scheduler: Scheduler
  #all: Group = new Set()
  readonly #streams = new Map<string, Group>()
  /** Those with filters, by key. */
  readonly #keyed = new Map<string, Group>()
  /** How many keys there are of prefixes of each length. */
  readonly #prefixLengths = new Map<number, number>()
  /** Fired and not yet woken. */
  #due: Iterable<Waiting>[] = []
  readonly #leaving = (waiting: Waiting): void => this.#leave(waiting)

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  ticket(interest: Interest = {}): Ticket {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    const watch = this.watch(interest, wake)
    return {
      fired: promise,
      wake,
      get position() {
        return watch.position
      },
      cancel: () => watch.cancel(),
    }
  }

  /** `onFired` runs once, in a later turn, when it has fired and was not cancelled before that. */
  watch(interest: Interest, onFired: () => void): Watch {
    const waiting = new Waiting(interest, onFired, this.#leaving)
    const { keys } = waiting
    for (const key of keys) this.#enter(key, waiting)
    if (keys.length > 0) return waiting
    const { stream } = interest
    if (stream === undefined) this.#all.add(waiting)
    else enter(this.#streams, stream, waiting)
    return waiting
  }

  onApplied(record: SlotRecord): void {
    if (this.#all.size > 0) {
      for (const waiting of this.#all) waiting.position = record.firstPosition
      this.#fire(this.#all)
      this.#all = new Set()
    }
    if (this.#streams.size > 0) this.#fireStreams(record)
    if (this.#keyed.size > 0) this.#fireKeyed(record)
  }

  #fireStreams({ streams, firstPosition }: SlotRecord): void {
    for (const [event, { name }] of streams.entries()) {
      const group = this.#streams.get(name)
      if (group === undefined) continue
      for (const waiting of group) waiting.position = firstPosition + event
      this.#streams.delete(name)
      this.#fire(group)
    }
  }

  #fireKeyed({ entry, streams, offsets, lengths, firstPosition }: SlotRecord): void {
    const fired: Waiting[] = []
    for (const [event, { name }] of streams.entries()) {
      const content = typeAndTagsOf(entry.subarray(offsets[event]!, offsets[event]! + lengths[event]!))
      for (const key of this.#keysOf(name, content)) {
        for (const waiting of this.#keyed.get(key) ?? []) {
          const { filter = {} } = waiting.interest
          if (!streamMatches(filter, name) || !contentMatches(filter, content)) continue
          waiting.position = firstPosition + event
          this.#leave(waiting)
          fired.push(waiting)
        }
      }
    }
    if (fired.length > 0) this.#fire(fired)
  }

  /** Under which those stand that an event may be for. */
  *#keysOf(stream: string, content: TypeAndTags | undefined): Generator<string> {
    if (content !== undefined) {
      yield typeKey(content.type)
      for (const tag of content.tags) yield tagKey(tag)
    }
    yield categoryKey(categoryOf(stream))
    for (const length of this.#prefixLengths.keys()) if (length <= stream.length) yield prefixKey(stream.slice(0, length))
  }

  #enter(key: string, waiting: Waiting): void {
    enter(this.#keyed, key, waiting)
    const length = prefixLength(key)
    if (length > 0) this.#prefixLengths.set(length, (this.#prefixLengths.get(length) ?? 0) + 1)
  }

  #leave(waiting: Waiting): void {
    const { keys, interest } = waiting
    for (const key of keys) {
      leave(this.#keyed, key, waiting)
      const length = prefixLength(key)
      if (length === 0) continue
      const left = (this.#prefixLengths.get(length) ?? 0) - 1
      if (left > 0) this.#prefixLengths.set(length, left)
      else this.#prefixLengths.delete(length)
    }
    if (keys.length > 0) return
    if (interest.stream === undefined) this.#all.delete(waiting)
    else leave(this.#streams, interest.stream, waiting)
  }

  #fire(group: Iterable<Waiting>): void {
    this.#due.push(group)
    if (this.#due.length > 1) return
    this.#scheduler.defer(() => {
      const due = this.#due
      this.#due = []
      for (const one of due) for (const waiting of one) waiting.wake()
    })
  }
}

const typeKey = (type: string): string => `t${type}`
const tagKey = (tag: string): string => `g${tag}`
const categoryKey = (category: string): string => `c${category}`
const prefixKey = (prefix: string): string => `p${prefix}`
const prefixLength = (key: string): number => (key.startsWith('p') ? key.length - 1 : 0)

/** Every event that passes has one of them. None: any event may pass. */
function keysOf({ items = [], categories = [], prefixes = [] }: EventFilter): readonly string[] {
  if (items.length > 0) {
    const keys = items.flatMap(({ types = [], tags = [] }) => (tags[0] === undefined ? types.map(typeKey) : [tagKey(tags[0])]))
    return [...new Set(keys)]
  }
  return categories.length > 0 ? categories.map(categoryKey) : prefixes.map(prefixKey)
}

function enter(groups: Map<string, Group>, key: string, waiting: Waiting): void {
  const known = groups.get(key)
  if (known === undefined) groups.set(key, new Set([waiting]))
  else known.add(waiting)
}

function leave(groups: Map<string, Group>, key: string, waiting: Waiting): void {
  const group = groups.get(key)
  if (group?.delete(waiting) === true && group.size === 0) groups.delete(key)
}
