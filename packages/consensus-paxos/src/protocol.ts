import type { ProtocolFactory } from '@synod/consensus'
import { majority } from '@synod/consensus/quorums'
import type { PaxosMessage } from './messages.ts'
import { Paxos } from './paxos.ts'
import { parseSettings } from './settings.ts'

/**
 * Lamport's Paxos. Options: `mode: 'multi'` (default), a leader whose ballot covers the log, or `'basic'`, one round a slot
 * proposed by any node; beside it the times and bounds of settings.ts. Throws a RangeError that names the option.
 */
export const protocol: ProtocolFactory<PaxosMessage> = (options) => {
  const settings = parseSettings(options)
  const hasLeader = settings.mode === 'multi'
  return {
    name: '@synod/consensus-paxos',
    mode: settings.mode,
    capabilities: {
      leader: hasLeader,
      anyNodeProposes: true,
      linearizableRead: hasLeader ? 'readIndex' : 'barrier',
      durability: 'quorumDisk',
    },
    quorums: majority,
    open: (opened) => Paxos.open(opened, settings),
  }
}
