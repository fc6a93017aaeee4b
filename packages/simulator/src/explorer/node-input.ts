import type { PaxosMessage } from '@synod/consensus-paxos'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { ballotText } from '../specification/specification-event.ts'
import { valueText } from '../specification/event-text.ts'

/** What can happen to one node. */
export type NodeInput =
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: PaxosMessage }
  /** A client's entry, numbered from 1. */
  | { readonly kind: 'offer'; readonly value: number }
  /** Time passes for this node until it begins a round: it stands for leader, or tries again after a lost duel. */
  | { readonly kind: 'stand' }
  /** The oldest write is durable, and what waited for it leaves. */
  | { readonly kind: 'sync' }
  /** A crash, and a start from what was durable. */
  | { readonly kind: 'restart' }
  /** The runtime fetched a decision from a peer. */
  | { readonly kind: 'learn'; readonly index: Index; readonly value: string }

export function inputText(input: NodeInput): string {
  switch (input.kind) {
    case 'message':
      return `takes ${messageText(input.message)} from ${input.from}`
    case 'offer':
      return `is offered v${input.value}`
    case 'stand':
      return 'waits and begins a round'
    case 'sync':
      return 'has its oldest write on disk'
    case 'restart':
      return 'crashes and restarts'
    case 'learn':
      return `fetches the decision of slot ${input.index}, ${valueText(input.value)}`
  }
}

export function messageText(message: PaxosMessage): string {
  const entryText = (entry: Uint8Array): string => valueText(Buffer.from(entry).toString('hex'))
  const ballot = 'ballot' in message ? ` ${ballotText(message.ballot)}` : ''
  switch (message.kind) {
    case 'prepare':
      return `prepare${ballot} slot ${message.index}${message.scope === 'suffix' ? '+' : ''}`
    case 'promise': {
      const reports = message.slots.map(
        (slot) => `${slot.index}=${slot.decided ? 'decided' : ballotText(slot.ballot)}:${entryText(slot.entry)}`,
      )
      const known = message.decidedThrough > 0 ? ` decided ≤${message.decidedThrough}` : ''
      return `promise${ballot}${known} [${reports.join(' ')}]`
    }
    case 'accept':
      return `accept${ballot} ${message.slots.map(({ index, entry }) => `${index}=${entryText(entry)}`).join(' ')}${message.commit > 0 ? ` commit ≤${message.commit}` : ''}`
    case 'accepted':
      return `accepted${ballot} slot ${message.indexes.join(' ')}`
    case 'nack':
      return `nack${ballot}, promised ${ballotText(message.promised)}`
    case 'decision':
      return `decision slot ${message.index} = ${entryText(message.entry)}`
    case 'chosen':
      return `chosen${ballot} slot ${message.index}`
    case 'commit':
      return `commit${ballot} ≤${message.commit}`
    default:
      return `${message.kind}${ballot}`
  }
}
