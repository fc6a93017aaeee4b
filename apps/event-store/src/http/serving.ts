import type { EventStore } from '@synod/events'
import type { NodeView } from '../node/node-view.ts'
import { unavailable } from './http-error.ts'

/** The store of a node that takes appends and linearizable reads; others say so at once. @throws HttpError 503 */
export function serving(node: NodeView): EventStore {
  const { state, why } = node.status()
  if (state !== 'serving') throw unavailable(`${node.id} is ${state}${why === undefined ? '' : `: ${why}`}`)
  return node.store()
}
