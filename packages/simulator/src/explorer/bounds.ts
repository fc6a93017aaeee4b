/** What an exploration is of. Everything in it is finite, and nothing else is left out but what `explorer.ts` says. */
export interface Bounds {
  /** `paxos`: one round a slot, without a leader (the core's mode `basic`). `multi`: a leader's ballot covers the suffix. */
  readonly protocol: 'paxos' | 'multi'
  readonly nodes: number
  /** How many of the nodes propose; the others only vote. */
  readonly proposers: number
  /** Rounds that are begun, by all nodes together, at any slot. */
  readonly ballots: number
  /** Rounds that one node begins in one life. With 1, and without crashes, nodes are alike: see `explorer.ts`. */
  readonly rounds: number
  /** Different entries that are offered. */
  readonly values: number
  readonly slots: number
  /** Crashes with a restart from what is durable, of all nodes together. */
  readonly crashes: number
  /** A write and the sends that wait for it are two steps, and a crash may come between them. */
  readonly isApart: boolean
  /** A phase-2 quorum lacks one node: agreement must break. */
  readonly hasSmallQuorum: boolean
  /** It gives up at more. */
  readonly statesMax: number
}

export const defaultStatesMax = 40_000_000

/** In one line, for people. */
export function boundsText(bounds: Bounds): string {
  const { protocol, nodes, proposers, ballots, rounds, values, slots, crashes } = bounds
  const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`
  return [
    protocol === 'paxos' ? 'single-decree Paxos' : 'Multi-Paxos',
    counted(nodes, 'node') + (proposers < nodes ? ` (${counted(proposers, 'proposer')})` : ''),
    `${counted(ballots, 'ballot')} (at most ${rounds} by a node${crashes > 0 ? ' in one life' : ''})`,
    counted(values, 'value'),
    counted(slots, 'slot'),
    crashes === 0 ? 'no crash' : crashes === 1 ? '1 crash with restart' : `${crashes} crashes with restart`,
    bounds.isApart ? 'write and send apart' : 'write and send as one step',
    ...(bounds.hasSmallQuorum ? ['a phase-2 quorum too small by one'] : []),
  ].join(', ')
}
