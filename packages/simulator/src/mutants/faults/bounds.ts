import { defaultStatesMax, type Bounds } from '../../explorer/bounds.ts'

/** 2 ballots and 2 values of single-decree Paxos. */
export const smallPaxos: Bounds = {
  protocol: 'paxos',
  nodes: 3,
  proposers: 3,
  ballots: 2,
  rounds: 1,
  values: 2,
  slots: 1,
  crashes: 0,
  isApart: false,
  hasSmallQuorum: false,
  statesMax: defaultStatesMax,
}

/** One value, and one change of leaders, of Multi-Paxos. */
export const smallMulti: Bounds = { ...smallPaxos, protocol: 'multi', values: 1, proposers: 2 }
