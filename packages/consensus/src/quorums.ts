/**
 * Which sets of members suffice. Lamport needs any two quorums to meet; it is enough that every phase-1 quorum meets
 * every phase-2 quorum (Howard, Malkhi and Spiegelman, "Flexible Paxos: Quorum intersection revisited", 2016).
 */
import type { NodeId } from '@synod/transport'

export interface Quorums {
  readonly members: readonly NodeId[]
  phase1(nodes: ReadonlySet<NodeId>): boolean
  phase2(nodes: ReadonlySet<NodeId>): boolean
  /** Enumerates and throws a QuorumError when two that must meet do not. */
  check(): void
}

export class QuorumError extends Error {
  readonly code = 'quorums_do_not_meet'
  constructor(message: string) {
    super(message)
    this.name = 'QuorumError'
  }
}

/** Any two of them meet. */
export function majority(members: readonly NodeId[]): Quorums {
  const size = Math.floor(members.length / 2) + 1
  return bySize(members, size, size)
}

/** Quorums by size; `check()` refuses sizes that let two miss each other. */
export function bySize(members: readonly NodeId[], phase1Size: number, phase2Size: number): Quorums {
  const counted = (nodes: ReadonlySet<NodeId>): number => members.reduce((sum, member) => sum + (nodes.has(member) ? 1 : 0), 0)
  const quorums: Quorums = {
    members,
    phase1: (nodes) => counted(nodes) >= phase1Size,
    phase2: (nodes) => counted(nodes) >= phase2Size,
    check: () => checkIntersection(quorums),
  }
  return quorums
}

const membersMax = 15

/** By enumeration of all subsets, so at most 15 members. */
export function checkIntersection(quorums: Quorums): void {
  const { members } = quorums
  if (members.length === 0 || members.length > membersMax)
    throw new QuorumError(`1 to ${membersMax} members are possible, not ${members.length}`)
  if (new Set(members).size !== members.length) throw new QuorumError(`a member is named twice: ${members.join(', ')}`)
  if (!quorums.phase1(new Set(members)) || !quorums.phase2(new Set(members))) throw new QuorumError('all members together are no quorum')
  const subset = (mask: number): Set<NodeId> => new Set(members.filter((_, bit) => (mask & (1 << bit)) !== 0))
  const all = 2 ** members.length - 1
  for (let mask = 0; mask <= all; mask++) {
    // Quorums are closed upwards, so a phase-1 quorum is missed by some phase-2 quorum iff its complement is one.
    const first = subset(mask)
    const rest = subset(all & ~mask)
    if (quorums.phase1(first) && quorums.phase2(rest))
      throw new QuorumError(`{${[...first].join(', ')}} for phase 1 and {${[...rest].join(', ')}} for phase 2 do not meet`)
  }
}
