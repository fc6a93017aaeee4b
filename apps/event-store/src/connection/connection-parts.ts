import type { RequestNumber } from '@synod/client-protocol'
import type { HttpLimits } from '../config/node-config.ts'
import type { BytesInFlight } from '../http/bytes-in-flight.ts'
import type { OpenSubscriptions } from '../http/open-subscriptions.ts'
import type { NodeView } from '../node/node-view.ts'
import type { AwakeClock } from './awake-clock.ts'
import type { Deadlines } from './deadlines.ts'
import type { OpenRequests } from './open-requests.ts'
import type { Outbox } from './outbox.ts'

/** What all connections of a node share. */
export interface SharedParts {
  readonly node: NodeView
  readonly limits: HttpLimits
  readonly bytes: BytesInFlight
  readonly subscriptions: OpenSubscriptions
  readonly clock: AwakeClock
  /** Until an append or a read is told to give up. */
  readonly answers: Deadlines
  /** After that, until it is answered whatever it does. */
  readonly graces: Deadlines
}

/** What the requests of one connection use. */
export interface ConnectionParts extends SharedParts {
  readonly outbox: Outbox
  readonly requests: OpenRequests
  /** Answers with what was thrown. The request is not open, or not any more. */
  readonly refuse: (request: RequestNumber, error: unknown) => void
}
