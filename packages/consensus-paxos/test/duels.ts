/** Random duels of three proposers without a leader, and everything that was issued and accepted in them, seen from outside. */
import type { Effect } from '@synod/consensus'
import { decodeSlotHeader, type Ballot, type PaxosMessage } from '@synod/consensus-paxos'
import fc from 'fast-check'
import { expect } from 'vitest'
import { Lab, name, value } from './lab.ts'
import { RecordedCore } from './transcripts/recorded-core.ts'

export interface Proposal {
  readonly index: number
  readonly number: Ballot
  readonly value: string
}

export interface Accepted extends Proposal {
  readonly node: string
}

/** A lab and everything that its nodes issued (an accept request) and accepted (put into a write), in the order of time. */
export class Observed {
  readonly lab = new Lab({ mode: 'basic' })
  readonly issued: { readonly proposal: Proposal; readonly acceptedBefore: readonly Accepted[] }[] = []
  readonly accepted: Accepted[] = []

  constructor() {
    for (const node of this.lab.nodes.values()) {
      node.core = new RecordedCore(node.running, ({ effects }) => {
        for (const { effect } of effects) this.#observe(node.id, effect)
      })
    }
    this.lab.flow()
  }

  #observe(node: string, effect: Effect<PaxosMessage>): void {
    if (effect.kind === 'send' && effect.message.kind === 'accept') {
      const { ballot: number, slots } = effect.message
      for (const { index, entry } of slots)
        this.issued.push({ proposal: { index, number, value: name(entry) }, acceptedBefore: [...this.accepted] })
    }
    if (effect.kind !== 'persist') return
    for (const operation of effect.operations) {
      if (operation.op !== 'slot') continue
      const { accepted: number } = decodeSlotHeader(operation.header, [...this.lab.nodes.keys()])
      const { index, entry } = operation
      const isKnown = this.accepted.some((one) => one.node === node && one.index === index && isSame(one.number, number))
      if (number.round > 0 && !isKnown) this.accepted.push({ node, index, number, value: name(entry) })
    }
  }

  /** Chosen: accepted by two of three under one number. */
  chosen(): readonly Proposal[] {
    return this.accepted.filter(
      (one) => this.accepted.filter((other) => other.index === one.index && isSame(other.number, one.number)).length >= 2,
    )
  }
}

export function isBelow(left: Ballot, right: Ballot): boolean {
  if (left.round !== right.round) return left.round < right.round
  return left.node === right.node ? left.boot < right.boot : left.node < right.node
}

function isSame(left: Ballot, right: Ballot): boolean {
  return !isBelow(left, right) && !isBelow(right, left)
}

/** Three proposers duel for a slot or two; every choice of what happens next is drawn. The property has to hold at the end. */
export function inEveryDuel(holds: (observed: Observed) => void): void {
  let chosen = 0
  let issued = 0
  fc.assert(
    fc.property(fc.array(fc.nat(999), { minLength: 40, maxLength: 250 }), (choices) => {
      const observed = new Observed()
      const { lab } = observed
      for (const node of lab.nodes.values()) node.offer(value(`of ${node.id}`))
      for (const choice of choices) {
        const [packet] = lab.pool.splice(choice % Math.max(1, lab.pool.length), 1)
        if (packet !== undefined && choice % 9 !== 0) lab.deliver(packet)
        const id = `n${(choice % 3) + 1}`
        if (choice % 2 === 0) lab.node(id).sync()
        if (choice % 5 === 0) lab.tick(choice % 60, [id])
      }
      if (observed.chosen().length > 0) chosen++
      issued += observed.issued.length
      holds(observed)
    }),
    { numRuns: 150 },
  )
  expect(chosen, 'duels in which something was chosen').toBeGreaterThan(40)
  expect(issued, 'proposals').toBeGreaterThan(200)
}
