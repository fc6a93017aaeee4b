/** What reliability.md and consensus.md name and this build has no code for. Listed, never counted. */
import type { FaultNotYet } from '../planted-fault.ts'

export const faultsNotYet: readonly FaultNotYet[] = [
  {
    name: 'commit-of-an-old-term',
    breaks: 'an entry of an older term is not committed by counting copies (bug 11)',
    needs: 'the Raft core',
  },
  { name: 'committed-suffix-truncated', breaks: 'a follower never truncates what is committed (bug 13)', needs: 'the Raft core' },
  {
    name: 'lease-on-the-wall-clock',
    breaks: 'a lease begins when its request was sent, on a clock that only grows (bug 15)',
    needs: 'leases',
  },
  { name: 'sessions-not-in-the-snapshot', breaks: 'a snapshot holds the session table (bug 16)', needs: 'snapshots' },
  { name: 'snapshot-drops-its-last-entry', breaks: 'snapshot and log meet without a gap (bug 18)', needs: 'snapshots' },
  {
    name: 'reclaimed-slot-reported-empty',
    breaks: 'below the snapshot an acceptor answers "decided", never "empty" (bug 19)',
    needs: 'snapshots',
  },
  { name: 'two-members-changed-at-once', breaks: 'one change of members is over before the next begins (bug 20)', needs: 'membership' },
  { name: 'removed-node-counts', breaks: 'who was removed is in no quorum (bug 20)', needs: 'membership' },
  { name: 'sealed-epoch-goes-on', breaks: 'nothing is decided in an epoch after its seal', needs: 'seals' },
  {
    name: 'fast-quorum-too-small',
    breaks: 'a classic quorum meets the intersection of any two fast ones (bug 23)',
    needs: 'the Fast Paxos core',
  },
  {
    name: 'fast-recovery-picks-freely',
    breaks: 'recovery takes the value that a fast quorum may have chosen (bug 24)',
    needs: 'the Fast Paxos core',
  },
  { name: 'tail-witness-ignored', breaks: 'a store that forgot what it acknowledged does not vote', needs: 'the tail witness' },
]
