/**
 * What streams keep, in the plainest words: after each command the oldest visible event of a stream is looked at until it may stay.
 * Nothing ever makes an event visible again, so that what is hidden stays hidden without a rule for it.
 *
 * Ages are exact while fewer than 2,048 seconds of retention time have passed: the product thins out older ticks.
 */
import type { RetentionCommand, Tick } from '@synod/events'
import { isAsExpected } from './history.ts'

/** An event that stands in a stream. */
export interface Keepable {
  readonly position: number
  readonly revision: number
  /** Absent: it is visible. Else: whoever has seen a position above this one finds it hidden. */
  hiddenAfter?: number
  /** By a command of this slot. */
  hiddenIn?: number
}

type Metadata = Extract<RetentionCommand, { op: 'setMetadata' }>['metadata']

/** What a change made of a stream. */
export interface StreamChange {
  readonly op: RetentionCommand['op']
  readonly metadata: Metadata
  readonly state: string
  /** The first revision that is visible afterwards; one more than the last when none is. */
  readonly first: number
}

interface KeptStream {
  metadata: Metadata
  /** Nobody has used it since. */
  isDeleted: boolean
  isTombstoned: boolean
  readonly changes: StreamChange[]
  /** By revision. */
  readonly events: Keepable[]
  /** How many of them are hidden: always the first ones. */
  hidden: number
}

/** Of what is remembered of ticks. */
const tickMs = 1000

export class RetentionModel {
  readonly #streams = new Map<string, KeptStream>()
  /** Those of which something was ever asked. */
  readonly #changed = new Set<KeptStream>()
  readonly #clocks = new Map<string, number>()
  #slot = 0
  readonly #ticks: { readonly time: number; readonly head: number }[] = []
  #time = 0

  /** What comes next is of this slot. */
  begin(slot: number): void {
    this.#slot = slot
  }

  /** As an expectation sees it: -1 where there is no such stream, or it was deleted and not used since. */
  lastRevision(stream: string): number {
    const kept = this.#streams.get(stream)
    return kept === undefined || kept.isDeleted ? -1 : kept.events.length - 1
  }

  isTombstoned(stream: string): boolean {
    return this.#streams.get(stream)?.isTombstoned ?? false
  }

  isDeleted(stream: string): boolean {
    return this.#streams.get(stream)?.isDeleted ?? false
  }

  /** The first is that of version 1. */
  changesOf(stream: string): readonly StreamChange[] {
    return this.#streams.get(stream)?.changes ?? []
  }

  /** Its revision. */
  nextRevision(stream: string): number {
    return this.#stream(stream).events.length
  }

  append(stream: string, event: Keepable): void {
    const kept = this.#stream(stream)
    kept.isDeleted = false
    kept.events.push(event)
  }

  /** `head`: the last position before the command. */
  change(command: RetentionCommand, head: number): string {
    const kept = this.#stream(command.stream)
    const { op } = command
    if (kept.isTombstoned) return op === 'tombstone' ? answer(kept) : 'retention streamTombstoned'
    if (op !== 'setMetadata') {
      if (kept.events.length === 0) return 'retention streamNotFound'
      if (op === 'delete' && kept.isDeleted && Object.keys(kept.metadata).length === 0) return answer(kept)
      const actual = this.lastRevision(command.stream)
      if (!isAsExpected(command.expected, actual)) return `retention wrongExpectedRevision ${actual}`
      kept.isDeleted = true
      kept.isTombstoned = op === 'tombstone'
      kept.metadata = {}
    } else kept.metadata = command.metadata
    this.#changed.add(kept)
    this.hide(head)
    kept.changes.push({ op, metadata: kept.metadata, state: stateOf(kept), first: kept.hidden })
    return answer(kept)
  }

  /** Retention time is the clock that only a minority of the voters is behind, and never goes back. */
  tick({ node, clock, voters }: Tick, head: number): void {
    this.#clocks.set(node, clock)
    for (const known of this.#clocks.keys()) if (!voters.includes(known)) this.#clocks.delete(known)
    const clocks = voters.map((voter) => this.#clocks.get(voter) ?? 0).toSorted((left, right) => left - right)
    this.#time = Math.max(this.#time, clocks[Math.floor((clocks.length - 1) / 2)] ?? 0)
    const last = this.#ticks.at(-1) ?? { time: 0, head: 0 }
    if (head > last.head && second(this.#time) > second(last.time)) this.#ticks.push({ time: this.#time, head })
    this.hide(head)
  }

  /** After a command; `head` is the last position before it. */
  hide(head: number): void {
    for (const kept of this.#changed) {
      const oldThrough = this.#oldThrough(kept.metadata)
      for (let event = kept.events[kept.hidden]; event !== undefined; event = kept.events[kept.hidden]) {
        if (mayStay(event, kept) && event.position > oldThrough) break
        event.hiddenAfter = head
        event.hiddenIn = this.#slot
        kept.hidden++
      }
    }
  }

  #oldThrough({ maxAgeSeconds }: Metadata): number {
    if (maxAgeSeconds === undefined) return 0
    return this.#ticks.findLast(({ time }) => time <= this.#time - maxAgeSeconds * 1000)?.head ?? 0
  }

  #stream(name: string): KeptStream {
    let kept = this.#streams.get(name)
    if (kept === undefined) {
      kept = { metadata: {}, isDeleted: false, isTombstoned: false, changes: [], events: [], hidden: 0 }
      this.#streams.set(name, kept)
    }
    return kept
  }
}

/** For all but its age. */
function mayStay({ revision }: Keepable, { metadata, isDeleted, events }: KeptStream): boolean {
  const { maxCount = Infinity, truncateBefore = 0 } = metadata
  return !isDeleted && revision >= truncateBefore && revision >= events.length - maxCount
}

function stateOf({ isTombstoned, isDeleted, events }: KeptStream): string {
  if (isTombstoned) return 'tombstoned'
  if (events.length === 0) return 'absent'
  return isDeleted ? 'deleted' : 'open'
}

function answer(kept: KeptStream): string {
  return `retention changed ${kept.changes.length} ${stateOf(kept)}`
}

function second(time: number): number {
  return Math.floor(time / tickMs)
}
