/**
 * Proposals by identity, (session, sequence), until they are settled. Numbers all the way: text made of the two would cost
 * every command of every slot a new string and its hash. Several callers may propose one identity at once (a client that
 * tries again before its first try ended), and are then a chain.
 */
import { bytesToHex } from '@synod/codec'
import type { Envelope } from './envelope.ts'
import type { Outcome } from './ordered-log.ts'
import type { Slot } from './slot.ts'

export interface Proposal<O> {
  readonly command: Envelope
  readonly bytes: number
  /** Under which it waits. */
  readonly signal: AbortSignal | undefined
  readonly settle: (outcome: Outcome<O>) => void
  /** Left this process at least once, so that nobody may say `never` any more. */
  sent: boolean
  settled: boolean
  /** The next of the same identity. */
  next: Proposal<O> | undefined
}

export class WaitingProposals<O> {
  readonly #sessions = new Map<Slot, Map<number, Proposal<O>>>()
  /** An opening has no session yet: its body is what makes it unique. */
  readonly #openings = new Map<string, Proposal<O>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(proposal: Proposal<O>): void {
    this.#size++
    const { session, sequence, body } = proposal.command
    if (session === 0) return link(this.#openings, bytesToHex(body), proposal)
    let sequences = this.#sessions.get(session)
    if (sequences === undefined) this.#sessions.set(session, (sequences = new Map()))
    link(sequences, sequence, proposal)
  }

  /** The first of those that wait for this command. */
  get({ session, sequence, body }: Envelope): Proposal<O> | undefined {
    return session === 0 ? this.#openings.get(bytesToHex(body)) : this.#sessions.get(session)?.get(sequence)
  }

  delete(proposal: Proposal<O>): void {
    this.#size--
    const { session, sequence, body } = proposal.command
    if (session === 0) return unlink(this.#openings, bytesToHex(body), proposal)
    const sequences = this.#sessions.get(session)
    if (sequences === undefined) return
    unlink(sequences, sequence, proposal)
    // A session that ended leaves nothing behind; the one in use is empty between two batches only.
    if (sequences.size === 0 && this.#sessions.size > 1) this.#sessions.delete(session)
  }

  all(): readonly Proposal<O>[] {
    const chains = [...this.#openings.values(), ...[...this.#sessions.values()].flatMap((sequences) => [...sequences.values()])]
    const found: Proposal<O>[] = []
    for (const first of chains) for (let each: Proposal<O> | undefined = first; each !== undefined; each = each.next) found.push(each)
    return found
  }
}

function link<K, O>(chains: Map<K, Proposal<O>>, key: K, proposal: Proposal<O>): void {
  const first = chains.get(key)
  if (first === undefined) {
    chains.set(key, proposal)
    return
  }
  let last = first
  while (last.next !== undefined) last = last.next
  last.next = proposal
}

function unlink<K, O>(chains: Map<K, Proposal<O>>, key: K, proposal: Proposal<O>): void {
  const first = chains.get(key)
  if (first === proposal) {
    if (proposal.next === undefined) chains.delete(key)
    else chains.set(key, proposal.next)
    return
  }
  for (let each = first; each !== undefined; each = each.next) if (each.next === proposal) each.next = proposal.next
}
