/**
 * Knows everything and is told everything; throws when a promise of the protocol is broken. It shares no code with the
 * core but the header's codec.
 */
import { bytesToHex } from '@synod/codec'
import { decodeSlotHeader, type Ballot, type PaxosMessage } from '@synod/consensus-paxos'
import type { Quorums } from '@synod/consensus'
import type { StoreOperation } from '@synod/log'

export function text(ballot: Ballot): string {
  return `${ballot.round}.${ballot.node}.${ballot.boot}`
}

function isBelow(left: Ballot, right: Ballot): boolean {
  if (left.round !== right.round) return left.round < right.round
  if (left.node !== right.node) return left.node < right.node
  return left.boot < right.boot
}

export class Oracle {
  readonly #quorums: Quorums
  /** index/ballot → entry and who has it on disk, or had. */
  readonly #accepted = new Map<string, { entry: string; nodes: Set<string> }>()
  readonly #chosen = new Map<number, Set<string>>()
  readonly decided = new Map<number, string>()
  /** node, and index where promises are per slot → the highest promise that left the node. */
  readonly #promised = new Map<string, Ballot>()
  /** Highest index delivered in order anywhere. */
  deliveredHigh = 0

  constructor(quorums: Quorums) {
    this.#quorums = quorums
  }

  onDurable(node: string, operations: readonly StoreOperation[]): void {
    for (const operation of operations) {
      if (operation.op !== 'slot') continue
      const { accepted } = decodeSlotHeader(operation.header, this.#quorums.members)
      if (accepted.round === 0) continue
      const key = `${operation.index}/${text(accepted)}`
      const entry = bytesToHex(operation.entry)
      const votes = this.#accepted.get(key) ?? { entry, nodes: new Set() }
      this.#accepted.set(key, votes)
      if (votes.entry !== entry) throw new Error(`two values under one ballot: ${key}`)
      votes.nodes.add(node)
      if (!this.#quorums.phase2(votes.nodes)) continue
      const chosen = this.#chosen.get(operation.index) ?? new Set()
      this.#chosen.set(operation.index, chosen.add(entry))
      if (chosen.size > 1) throw new Error(`two values chosen at ${operation.index}: ${[...chosen].join(' and ')}`)
    }
  }

  /** It happened where nobody looked. */
  choose(index: number, entry: Uint8Array): void {
    this.#chosen.set(index, new Set([bytesToHex(entry)]))
  }

  /** Bug 9: learned ⇒ chosen. */
  onDecide(node: string, index: number, entry: Uint8Array): void {
    const hex = bytesToHex(entry)
    if (!this.#chosen.get(index)?.has(hex)) throw new Error(`${node} learned ${hex} at ${index}, which was not chosen`)
    const before = this.decided.get(index)
    if (before !== undefined && before !== hex) throw new Error(`${node} decided ${hex} at ${index}, another decided ${before}`)
    this.decided.set(index, hex)
  }

  /** Bugs 3, 4, 5 and 8: once a promise left the node, no vote and no promise below it does. */
  onRelease(node: string, message: PaxosMessage, scope: 'suffix' | 'slot'): void {
    if (message.kind !== 'promise' && message.kind !== 'accepted') return
    const indexes = message.kind === 'promise' ? [message.index] : message.indexes
    for (const key of scope === 'suffix' ? [node] : indexes.map((index) => `${node}/${index}`)) {
      const promised = this.#promised.get(key)
      if (promised !== undefined && isBelow(message.ballot, promised)) {
        throw new Error(`${node} says ${message.kind} under ${text(message.ballot)} after it said ${text(promised)}`)
      }
      this.#promised.set(key, message.ballot)
    }
  }

  onReadAt(index: number, deliveredBefore: number): void {
    if (index < deliveredBefore) throw new Error(`a read at ${index} that began after ${deliveredBefore} was delivered`)
  }
}
