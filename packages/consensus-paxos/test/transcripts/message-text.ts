/**
 * Messages as transcripts show them. A ballot is `round.node.boot`; `@5` is one index, `@5..` every index from 5 on; `5:a` is
 * the entry `a` at index 5, `5:a(2.n1.1)` with the ballot at which it was accepted; `decided 4` is a decided prefix.
 */
import type { PaxosMessage } from '@synod/consensus-paxos'
import { name } from '../lab.ts'
import { noop } from '../lab-node.ts'
import { text } from '../oracle.ts'

export function entryText(entry: Uint8Array): string {
  return name(entry) === name(noop) ? 'no-op' : name(entry)
}

/** Beginning with the kind, in a column of its own. */
export function messageText(message: PaxosMessage): string {
  return `${message.kind.padEnd(12)}  ${details(message)}`
}

function details(message: PaxosMessage): string {
  switch (message.kind) {
    case 'prepare':
      return `${text(message.ballot)} @${message.index}${message.scope === 'suffix' ? '..' : ''}`
    case 'promise': {
      const slots = message.slots.map(
        ({ index, decided, ballot, entry }) => `${index}:${entryText(entry)}(${decided ? 'decided' : text(ballot)})`,
      )
      return `${text(message.ballot)} @${message.index} decided ${message.decidedThrough}, accepted ${slots.join(' ') || 'nothing'}`
    }
    case 'accept':
      return `${text(message.ballot)} commit ${message.commit}, ${message.slots.map(({ index, entry }) => `${index}:${entryText(entry)}`).join(' ')}`
    case 'accepted':
      return `${text(message.ballot)} ${message.indexes.map((index) => `@${index}`).join(' ')}`
    case 'nack':
      return `${text(message.ballot)} @${message.index} promised ${text(message.promised)}`
    case 'chosen':
      return `${text(message.ballot)} @${message.index}`
    case 'decision':
      return `${message.index}:${entryText(message.entry)}`
    case 'ahead':
      return `decided ${message.decidedThrough}`
    case 'preVote':
      return `boot ${message.boot} nonce ${message.nonce} decided ${message.decidedThrough}`
    case 'preVoteReply':
      return `boot ${message.boot} nonce ${message.nonce} ${message.granted ? 'granted' : 'denied'}, promised ${message.promised.round === 0 ? 'nothing' : text(message.promised)}, decided ${message.decidedThrough}`
    case 'heartbeat':
      return `${text(message.ballot)} round ${message.sequence} commit ${message.commit}`
    case 'heartbeatAck':
      return `${text(message.ballot)} round ${message.sequence} decided ${message.decidedThrough}`
    case 'commit':
      return `${text(message.ballot)} commit ${message.commit}`
    case 'offer':
      return `boot ${message.boot} #${message.id} ${entryText(message.entry)}`
    case 'offerReply':
      return `boot ${message.boot} #${message.id} ${message.offered ? `offered, commit ${message.commit}` : 'not offered'}`
    case 'read':
      return `boot ${message.boot} #${message.id}`
    case 'readReply':
      return `boot ${message.boot} #${message.id} ${message.index === undefined ? 'refused' : `at ${message.index}`}`
    case 'takeOver':
      return text(message.ballot)
    case 'status':
      return `boot ${message.boot} round ${message.sequence} decided ${message.decidedThrough}`
    case 'statusAck':
      return `boot ${message.boot} round ${message.sequence} decided ${message.decidedThrough} high ${message.high}`
  }
}
