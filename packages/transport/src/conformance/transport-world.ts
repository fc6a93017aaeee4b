import type { NodeId } from '../node-id.ts'
import type { TransportFactory } from '../transport.ts'

/** One fresh network, as a suite gets it for one test. */
export interface TransportWorld {
  readonly factory: TransportFactory
  /** One for each member, used by nobody else. */
  readonly addresses: ReadonlyMap<NodeId, string>
  /** A further address, used by nobody, for a second instance of a member. */
  readonly spareAddress: string
  /** Handed to the factory at every opening. */
  readonly options?: unknown
  /** Called when the transports of the test are closed. */
  readonly close?: () => Promise<void>
}

/** What the implementation says of itself; the suite tests what is declared, and the absence of what is not. */
export interface TransportConformance {
  readonly name: string
  readonly create: (members: readonly NodeId[]) => Promise<TransportWorld>
  /** What may wait for one peer, in bytes, with the options that `create` gives. */
  readonly queueBytesMax: number
  /** Whether an address is a place that one listener occupies (a port is, a subject is not). */
  readonly exclusiveAddresses: boolean
  /** Values of `options` that must be refused with `invalid_options`. At least one. */
  readonly invalidOptions: readonly unknown[]
  /** How long a peer that opens, or opens again, may take to be reached, in milliseconds. Default 10,000. */
  readonly reachedMsMax?: number
}
