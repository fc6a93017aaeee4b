/**
 * The final log, arranged for the checks: appends in their order (p, from 0), and where each stream's revisions came from.
 * An append is one point, so p counts appends and not positions.
 */
import type { WitnessEvents } from './history.ts'
import type { Violation } from './violation.ts'

export interface WitnessAppend {
  readonly identity: string
  readonly stream: string
  readonly count: number
  /** Of its last event. */
  readonly revision: number
  readonly position: number
  /** Its stream had been deleted. */
  readonly isReborn: boolean
}

export class Witness {
  readonly events: WitnessEvents
  readonly appends: readonly WitnessAppend[]
  /** What is wrong with the log itself: doubled or torn appends, gaps in revisions. */
  readonly violations: readonly Violation[]
  readonly #places = new Map<string, number>()
  /** p by position - 1. */
  readonly #byPosition: Uint32Array
  /** p by stream and revision. */
  readonly #byStream = new Map<string, number[]>()
  /** Since when each of the first events of a stream is hidden, where some are. */
  readonly #hidden = new Map<string, number[]>()

  constructor(events: WitnessEvents) {
    this.events = events
    for (const { stream, hiddenAfter, hiddenSince = -Infinity } of events) {
      if (hiddenAfter === undefined) continue
      const of = this.#hidden.get(stream)
      if (of === undefined) this.#hidden.set(stream, [hiddenSince])
      else of.push(hiddenSince)
    }
    this.#byPosition = new Uint32Array(events.length)
    const appends: WitnessAppend[] = []
    const violations: Violation[] = []
    for (let at = 0; at < events.length;) {
      const end = this.#endOfAppend(at, violations)
      const last = events[end - 1]
      if (last === undefined) break
      const isReborn = events[at]?.isReborn === true
      const place = appends.length
      if (this.#places.has(last.identity)) {
        const message = `append ${last.identity} stands at position ${at + 1} and before, at ${appends[this.#places.get(last.identity) ?? 0]?.position}`
        violations.push({ kind: 'doubled', message })
      } else this.#places.set(last.identity, place)
      appends.push({ identity: last.identity, stream: last.stream, count: end - at, revision: last.revision, position: end, isReborn })
      this.#byPosition.fill(place, at, end)
      this.#addRevisions(at, end, place, violations)
      at = end
    }
    this.appends = appends
    this.violations = violations
  }

  /** p, or -1 when the append is not in the log. */
  placeOf(identity: string): number {
    return this.#places.get(identity) ?? -1
  }

  /** p of the append that holds a position from 1 to the head. */
  placeAt(position: number): number {
    return this.#byPosition[position - 1] ?? -1
  }

  /** p of the append that wrote a revision; undefined when the stream never got so far. */
  placeOfRevision(stream: string, revision: number): number | undefined {
    return this.#byStream.get(stream)?.[revision]
  }

  get hidesSome(): boolean {
    return this.#hidden.size > 0
  }

  /** Some node had hidden it by then: whoever looked may have left it out. */
  isHidden(position: number, by: number): boolean {
    const { hiddenAfter, hiddenSince = -Infinity } = this.events[position - 1] ?? {}
    return hiddenAfter !== undefined && hiddenSince < by
  }

  /** The first position from this one on that nobody may have left out by then; Infinity when there is none. */
  nextKept(position: number, by: number): number {
    let next = Math.max(1, position)
    while (next <= this.events.length && this.isHidden(next, by)) next++
    return next > this.events.length ? Infinity : next
  }

  /** The same for a stream's revisions. */
  nextKeptRevision(stream: string, revision: number, by: number): number {
    const hidden = this.#hidden.get(stream) ?? []
    let next = Math.max(0, revision)
    while ((hidden[next] ?? Infinity) < by) next++
    return next < (this.#byStream.get(stream)?.length ?? 0) ? next : Infinity
  }

  #endOfAppend(from: number, violations: Violation[]): number {
    const first = this.events[from]
    let end = from
    for (; end < this.events.length; end++) {
      const event = this.events[end]
      if (event?.identity !== first?.identity || (end > from && event?.ordinal === 0)) break
      if (event?.ordinal === end - from && event.stream === first?.stream) continue
      violations.push({
        kind: 'torn',
        message: `event ${event?.ordinal} of append ${event?.identity} stands at position ${end + 1}, as its ${end - from}th`,
      })
    }
    return Math.max(end, from + 1)
  }

  #addRevisions(from: number, end: number, place: number, violations: Violation[]): void {
    for (let at = from; at < end; at++) {
      const event = this.events[at]
      if (event === undefined) continue
      let places = this.#byStream.get(event.stream)
      if (places === undefined) this.#byStream.set(event.stream, (places = []))
      if (event.revision !== places.length)
        violations.push({
          kind: 'misplaced',
          message: `position ${at + 1} is revision ${event.revision} of ${event.stream}, which had ${places.length} events`,
        })
      places.push(place)
    }
  }
}
