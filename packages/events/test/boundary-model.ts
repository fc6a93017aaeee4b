/**
 * Appends of every kind in the plainest words: lists that are searched from end to end. It knows the log and nothing else: no index,
 * no flush, no cache. What it answers is the verdict as text.
 */
import type { Expected } from '@synod/events'

export interface ModelWrite {
  readonly stream: string
  readonly expected: Expected
  readonly events: readonly ProposedModelEvent[]
}

export interface ProposedModelEvent {
  readonly id: number
  readonly type: string
  readonly tags: readonly string[]
}

export interface ModelItem {
  readonly types: readonly string[]
  readonly tags: readonly string[]
}

export interface ModelAppend {
  readonly kind: 'append'
  readonly writes: readonly ModelWrite[]
  /** Absent: a plain append. */
  readonly checks?: readonly { readonly stream: string; readonly expected: Expected }[]
  readonly condition?: { readonly after: number; readonly items: readonly ModelItem[] }
  readonly key?: string
}

export type ModelCommand =
  | ModelAppend
  | { readonly kind: 'keep'; readonly stream: string; readonly maxCount?: number; readonly truncateBefore?: number }
  | { readonly kind: 'delete' | 'tombstone'; readonly stream: string }

interface ModelEvent extends ProposedModelEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
}

interface Kept {
  /** What was hidden before the last change. */
  below: number
  truncateBefore: number
  maxCount: number
  deleted: number
  tombstoned: boolean
}

export interface ModelLimits {
  readonly idWindow: number
  readonly keysMax: number
  readonly conditionScanMax: number
}

export class BoundaryModel {
  readonly events: ModelEvent[] = []
  readonly #limits: ModelLimits
  readonly #kept = new Map<string, Kept>()
  readonly #keys: { readonly key: string; readonly request: string; readonly answer: string }[] = []

  constructor(limits: ModelLimits) {
    this.#limits = limits
  }

  /** Of a change of retention: nothing, that is another model's. */
  apply(command: ModelCommand): string {
    switch (command.kind) {
      case 'append':
        return this.#keyed(command)
      case 'keep': {
        const { stream, maxCount = Infinity, truncateBefore = 0 } = command
        const kept = this.#of(stream)
        if (!kept.tombstoned) Object.assign(kept, { below: this.#hiddenBelow(stream), truncateBefore, maxCount })
        return ''
      }
      case 'delete':
      case 'tombstone': {
        const kept = this.#of(command.stream)
        const last = this.#last(command.stream)
        if (kept.tombstoned || last < 0) return ''
        Object.assign(kept, { below: last + 1, truncateBefore: 0, maxCount: Infinity, deleted: last })
        kept.tombstoned = command.kind === 'tombstone'
        return ''
      }
    }
  }

  #keyed(request: ModelAppend): string {
    const { key } = request
    if (key === undefined) return this.#append(request)
    const text = JSON.stringify(request)
    const known = this.#keys.find((entry) => entry.key === key)
    if (known !== undefined) return known.request === text ? known.answer : 'keyReused'
    const answer = this.#append(request)
    this.#keys.push({ key, request: text, answer })
    if (this.#keys.length > this.#limits.keysMax) this.#keys.shift()
    return answer
  }

  #append(request: ModelAppend): string {
    const { writes, checks, condition } = request
    const before = this.#before(writes)
    if (before !== undefined) return before
    const dead = writes.findIndex(({ stream }) => this.#of(stream).tombstoned)
    if (dead >= 0) return `streamTombstoned ${dead}`
    const violations = [...writes, ...(checks ?? [])].flatMap(({ stream, expected }, place) => {
      const last = this.#last(stream) === this.#of(stream).deleted ? -1 : this.#last(stream)
      const isAsExpected =
        expected === 'any' || (expected === 'noStream' ? last < 0 : expected === 'streamExists' ? last >= 0 : last === expected)
      return isAsExpected ? [] : [`${place}:${last}`]
    })
    const found = condition === undefined ? 0 : this.#match(condition)
    if (violations.length > 0 || (found !== 'tooBroad' && found > 0))
      return checks === undefined
        ? `wrongExpectedRevision ${violations.join()}`
        : `violated ${violations.join()} ${found === 'tooBroad' ? 0 : found}`
    if (found === 'tooBroad') return 'conditionTooBroad'
    const revisions = writes.map(({ stream, events }) => {
      for (const event of events) this.events.push({ ...event, stream, revision: this.#last(stream) + 1, position: this.events.length + 1 })
      return this.#last(stream)
    })
    return `appended ${this.events.length} ${revisions.join()}`
  }

  #before(writes: readonly ModelWrite[]): string | undefined {
    const known = this.events.filter(({ position }) => position > this.events.length - this.#limits.idWindow)
    const asked = writes.flatMap(({ events }) => events)
    const find = ({ id }: ProposedModelEvent): ModelEvent | undefined => known.find((event) => event.id === id)
    const first = asked.find(find)
    if (first === undefined) {
      const twice = asked.find(({ id }, at) => asked.findIndex((event) => event.id === id) < at)
      return twice === undefined ? undefined : `eventIdConflict ${twice.id}`
    }
    for (const { stream, events } of writes) {
      let revision = -1
      for (const event of events) {
        const stands = find(event)
        if (stands?.stream !== stream || stands.revision <= revision) return `eventIdConflict ${stands === undefined ? first.id : event.id}`
        revision = stands.revision
      }
    }
    return `appended ${find(asked.at(-1)!)!.position} ${writes.map(({ events }) => find(events.at(-1)!)!.revision).join()}`
  }

  /** The newest match, 0 for none. */
  #match({ after, items }: NonNullable<ModelAppend['condition']>): number | 'tooBroad' {
    const max = this.#limits.conditionScanMax
    let [scanned, newest] = [0, 0]
    for (const [at, { types, tags }] of items.entries()) {
      if (items.slice(0, at).some((item) => hasSame(item.types, types) && hasSame(item.tags, tags))) continue
      const candidates = this.events.filter(({ position }) => position > after).toReversed()
      const lists = tags.map((tag) => ({ terms: 1, events: candidates.filter((event) => event.tags.includes(tag)) }))
      if (types.length > 0) lists.push({ terms: types.length, events: candidates.filter((event) => types.includes(event.type)) })
      if (lists.length === 0) lists.push({ terms: 1, events: candidates })
      const count = ({ events }: (typeof lists)[number]): number => Math.min(events.length, max + 1)
      const driver = lists.reduce((least, list) => (count(list) < count(least) ? list : least))
      const cost = lists.reduce((sum, list) => (list === driver ? sum : sum + list.terms), 1)
      for (const event of driver.events) {
        if (scanned + cost > max) return newest > 0 ? newest : 'tooBroad'
        scanned += cost
        if (!lists.every(({ events }) => events.includes(event)) || event.revision < this.#hiddenBelow(event.stream)) continue
        newest = Math.max(newest, event.position)
        break
      }
    }
    return newest
  }

  #of(stream: string): Kept {
    const known = this.#kept.get(stream)
    if (known !== undefined) return known
    const kept: Kept = { below: 0, truncateBefore: 0, maxCount: Infinity, deleted: -2, tombstoned: false }
    this.#kept.set(stream, kept)
    return kept
  }

  #last(stream: string): number {
    return this.events.filter((event) => event.stream === stream).length - 1
  }

  #hiddenBelow(stream: string): number {
    const { below, truncateBefore, maxCount } = this.#of(stream)
    const last = this.#last(stream)
    return Math.min(last + 1, Math.max(below, truncateBefore, last - maxCount + 1))
  }
}

function hasSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text) => right.includes(text))
}
