import type { EventStore } from '@synod/events'

/** What the HTTP layer sees of its node, whatever phase of life that is in. */
export interface NodeView {
  readonly id: string
  /** The cluster's id. */
  readonly cluster: string
  /** Every member in the order of ports, this node included. */
  readonly members: readonly { readonly id: string; readonly url: string }[]
  /** The transport's package, by name. */
  readonly transport: string
  status(): NodeStatus
  /** Calls after a change that the log announces, and when the node begins to stop: not after every change of `status`. Returns what ends it. */
  onChange(listener: () => void): () => void
  /** The store if this node can answer from it at all, serving or not; throws an HttpError 503 with the reason if it cannot. */
  store(): EventStore
}

export interface NodeStatus {
  /** `starting` and `stopping` are the process's, the others are the log's. */
  readonly state: 'starting' | 'serving' | 'catchingUp' | 'unavailable' | 'wiped' | 'foreign' | 'stopping' | 'stopped'
  /** For people: why the state is not `serving`. */
  readonly why?: string
  readonly role: 'leader' | 'follower' | 'replica'
  readonly leader: string | null
  readonly protocol: string
  readonly mode: string
  readonly epoch: number
  readonly decidedSlot: number
  readonly appliedSlot: number
  readonly position: number
}
