/** The requests of the article, and what one node answers to them. */
import type { Ballot, PaxosMessage } from '@synod/consensus-paxos'
import { value, type Lab } from './lab.ts'

export const ballot = (round: number, node: string, boot = 1): Ballot => ({ round, node, boot })
export const modes = [
  { mode: 'multi', scope: 'suffix' },
  { mode: 'basic', scope: 'slot' },
] as const

export const prepare = (at: Ballot, scope: 'suffix' | 'slot', index = 1): PaxosMessage => ({ kind: 'prepare', ballot: at, scope, index })
export const accept = (at: Ballot, entry: string, index = 1): PaxosMessage => ({
  kind: 'accept',
  ballot: at,
  commit: 0,
  slots: [{ index, entry: value(entry) }],
})

/** What one node answers to a message, once it is durable. */
export function answer(lab: Lab, from: string, to: string, message: PaxosMessage): readonly PaxosMessage[] {
  lab.pool = []
  lab.inject(from, to, message)
  lab.node(to).sync()
  return lab.pool.filter((packet) => packet.from === to && packet.to === from).map((packet) => packet.message)
}
