import type { NodeMessage } from '@synod/client-protocol'
import type { NodeView } from '../node/node-view.ts'

export type Topology = Extract<NodeMessage, { kind: 'topology' }>

/** What a client has to know to choose a node. */
export function topologyOf(node: NodeView, isStopping: boolean): Topology {
  const { leader, state } = node.status()
  return {
    kind: 'topology',
    cluster: node.cluster,
    node: node.id,
    members: node.members,
    ...(leader !== null && { leader }),
    isServing: state === 'serving' && !isStopping,
  }
}

/** Of two topologies of one node: the rest of it never changes. */
export function isSameTopology(left: Topology, right: Topology): boolean {
  return left.leader === right.leader && left.isServing === right.isServing
}
