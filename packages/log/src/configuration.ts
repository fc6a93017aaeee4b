import type { NodeId } from '@synod/transport'
import type { Epoch } from './slot.ts'

/** A voter is a node *and* one life of its storage: a wiped node is another voter until it is admitted. */
export interface Voter {
  readonly node: NodeId
  /** 32 hexadecimal digits, drawn when the storage was founded. */
  readonly incarnation: string
}

/** Who orders an epoch, and how. */
export interface Configuration {
  /** The cluster's id: 32 hexadecimal digits, drawn once. */
  readonly cluster: string
  readonly epoch: Epoch
  /** The consensus package, by name. */
  readonly protocol: string
  /** That package's options as JSON text: part of what all voters agree on. */
  readonly protocolOptions: string
  /** In the order of their names; every node counts them alike. */
  readonly voters: readonly Voter[]
}

/** What a store holds from its founding on. A store without it never votes. */
export interface Genesis {
  readonly node: NodeId
  readonly incarnation: string
  readonly configuration: Configuration
}
