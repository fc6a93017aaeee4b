/** What must hold of all that ever happened, whatever the specification says. Told from the events alone. */
import { bytesToHex } from '@synod/codec'
import type { Quorums } from '@synod/consensus'
import { valueText } from '../specification/event-text.ts'
import { ballotText, type SpecificationEvent } from '../specification/specification-event.ts'
import type { Bounds } from './bounds.ts'
import { entryOf, noop } from './node-stepping.ts'

/** For people, in the order in which they are looked at. */
export const invariantNames = [
  'agreement: no two nodes ever learn different values of a slot',
  'validity: what is learned was offered, or is the no-op where there is a leader',
  'one value per ballot',
  'learned ⇒ chosen by a phase-2 quorum of durable votes',
  'persist, then send: no promise and no vote leaves before it is durable',
  'promises on disk never fall, decisions on disk never change',
  'every state projects onto one of the specification, every step onto steps of it or none',
] as const

/** Which one is broken, if one is. */
export function brokenInvariant(events: readonly SpecificationEvent[], quorums: Quorums, bounds: Bounds): string | undefined {
  const learned = new Map<number, string>()
  const proposed = new Map<string, string>()
  const voters = new Map<string, Set<string>>()
  const valid = new Set(Array.from({ length: bounds.values }, (_, at) => bytesToHex(entryOf(at + 1))))
  if (bounds.protocol === 'multi') valid.add(bytesToHex(noop))
  for (const event of events) {
    if (event.kind === 'learned') {
      const before = learned.get(event.index)
      if (before !== undefined && before !== event.value)
        return `agreement: slot ${event.index} was learned as ${valueText(before)} and as ${valueText(event.value)}`
      learned.set(event.index, event.value)
      if (!valid.has(event.value)) return `validity: ${valueText(event.value)} was learned at slot ${event.index} and never offered`
    } else if (event.kind === '2a') {
      const key = `${event.index} ${ballotText(event.ballot)}`
      const before = proposed.get(key)
      if (before !== undefined && before !== event.value)
        return `one value per ballot: ${ballotText(event.ballot)} proposes ${valueText(before)} and ${valueText(event.value)} at slot ${event.index}`
      proposed.set(key, event.value)
    } else if (event.kind === '2b') {
      const key = `${event.index} ${ballotText(event.ballot)}`
      voters.set(key, (voters.get(key) ?? new Set()).add(event.node))
    }
  }
  for (const [index, value] of learned) {
    const isChosen = [...voters].some(([key, nodes]) => key.startsWith(`${index} `) && proposed.get(key) === value && quorums.phase2(nodes))
    if (!isChosen) return `learned ⇒ chosen: ${valueText(value)} was learned at slot ${index} without a quorum of votes`
  }
  return undefined
}
