/**
 * A subscription's deliveries are the filtered log: from where it began, in order, nothing skipped but what retention hides at the
 * end, nothing twice in one connection. What it says about how far it is (caught up, checkpoint) is true.
 */
import type { SeenEvent } from './history.ts'
import { passes, type AskedFilter } from './matching.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

/** One connection; a resumption is another one. */
export interface SubscriptionHistory {
  readonly subscriber: string
  /** Undefined: all streams. */
  readonly stream?: string
  /** Of all streams. */
  readonly filter?: AskedFilter
  /** The first revision wanted, or position when no stream is named. */
  readonly from: number
  /** Or: what stands after this position. */
  readonly afterPosition?: number
  readonly messages: readonly SubscriptionSeen[]
}

export type SubscriptionSeen =
  | { readonly kind: 'event'; readonly event: SeenEvent }
  /** Every matching event at or below the position came before this. */
  | { readonly kind: 'caughtUp' | 'checkpoint'; readonly position: number }
  | { readonly kind: 'fellBehind'; readonly position: number; readonly lag: number }

export function checkSubscription(subscription: SubscriptionHistory, witness: Witness): Violation[] {
  const { subscriber, stream, filter = {}, from, afterPosition = 0 } = subscription
  const wanted = witness.events
    .map((event, at) => ({ ...event, position: at + 1 }))
    .filter((event) =>
      stream === undefined
        ? event.position >= from && event.position > afterPosition && passes(event, filter)
        : event.stream === stream && event.revision >= from && event.position > afterPosition,
    )
  let next = 0
  let told = 0
  const accuse = (message: string): Violation[] => [
    { kind: 'subscription', message: `${subscriber}${stream === undefined ? '' : ` to ${stream}`}: ${message}` },
  ]
  for (const message of subscription.messages) {
    if (message.kind === 'event') {
      const { event } = message
      while ((wanted[next]?.position ?? Infinity) < event.position && wanted[next]?.hiddenAfter !== undefined) next++
      const expected = wanted[next]
      if (expected === undefined) return accuse(`event at position ${event.position}, after the end of the log`)
      const same =
        expected.position === event.position &&
        expected.stream === event.stream &&
        expected.identity === event.identity &&
        expected.ordinal === event.ordinal &&
        expected.revision === event.revision
      if (!same)
        return accuse(
          `position ${event.position} (${event.identity} in ${event.stream}) was delivered where position ${expected.position} (${expected.identity} in ${expected.stream}) comes`,
        )
      next++
      continue
    }
    if (message.position < told) return accuse(`${message.kind} at ${message.position} after ${told} was told`)
    told = message.position
    // Whoever resumes behind it would never get what comes there.
    if (told > witness.events.length) return accuse(`${message.kind} at ${told}, and the log ends at ${witness.events.length}`)
    if (message.kind === 'fellBehind') continue
    while ((wanted[next]?.position ?? Infinity) <= told && wanted[next]?.hiddenAfter !== undefined) next++
    const skipped = wanted[next]
    if (skipped !== undefined && skipped.position <= message.position)
      return accuse(`${message.kind} at ${message.position}, and position ${skipped.position} was not delivered`)
  }
  return []
}
