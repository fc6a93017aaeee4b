/** Faults of the Paxos core: what it promises, accepts, learns and proposes. */
import type { PlantedFault } from '../planted-fault.ts'
import { smallMulti, smallPaxos } from './bounds.ts'

const folder = 'packages/consensus-paxos'
const acceptor = `${folder}/src/acceptor.ts`
const basic = `${folder}/src/basic-paxos.ts`
const multi = `${folder}/src/multi-paxos.ts`
const leader = `${folder}/src/leader.ts`
const election = `${folder}/src/election.ts`
const learner = `${folder}/src/learner.ts`
const reads = `${folder}/src/read-rounds.ts`
const slotWindow = `${folder}/src/slot-window.ts`

export const faultsOfPaxos: readonly PlantedFault[] = [
  {
    name: 'vote-not-persisted',
    breaks: 'a vote is durable before it is told',
    patches: [
      {
        file: acceptor,
        find: 'operations.push(window.put(index, { promised: ballot, accepted: ballot, decided: false, entry }))',
        replace: 'window.put(index, { promised: ballot, accepted: ballot, decided: false, entry })',
      },
    ],
    killers: [
      { by: 'explorer', bounds: smallPaxos },
      { by: 'seeds', mode: 'basic', seedsMax: 50 },
      { by: 'seeds', mode: 'multi', seedsMax: 50 },
    ],
  },
  {
    name: 'promise-not-persisted',
    breaks: 'a promise is durable before it is told',
    patches: [
      { file: acceptor, find: 'window.persist([window.raisePromise(ballot)])', replace: 'window.raisePromise(ballot)' },
      {
        file: acceptor,
        find: 'window.persist([window.put(index, { ...held, promised: ballot })])',
        replace: 'window.put(index, { ...held, promised: ballot })',
      },
    ],
    killers: [
      { by: 'explorer', bounds: smallPaxos },
      { by: 'explorer', bounds: smallMulti },
    ],
  },
  {
    name: 'accepts-below-its-promise',
    breaks: 'nothing below a promise is accepted',
    patches: [
      {
        file: acceptor,
        find: 'if (compareBallots(ballot, promised) < 0) this.#refuse(from, ballot, slot.index, promised)\n      else if',
        replace: 'if',
      },
      {
        file: acceptor,
        find: '{ promised: ballot, accepted: ballot, decided: false, entry }',
        replace:
          '{ promised: compareBallots(held?.promised ?? noBallot, ballot) > 0 ? held!.promised : ballot, accepted: ballot, decided: false, entry }',
      },
      {
        file: acceptor,
        find: 'if (compareBallots(ballot, window.promised) < 0) {',
        replace: 'if (false) {',
      },
      { file: multi, find: 'if (compareBallots(ballot, highest) < 0) {', replace: 'if (false) {' },
    ],
    killers: [
      { by: 'explorer', bounds: smallPaxos },
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'own-ballot-refused',
    breaks: 'what is accepted has the ballot of the promise or a higher one: ≥, not >',
    patches: [
      {
        file: acceptor,
        find: 'if (compareBallots(ballot, promised) < 0) this.#refuse',
        replace: 'if (compareBallots(ballot, promised) <= 0) this.#refuse',
      },
      {
        file: acceptor,
        find: 'if (compareBallots(ballot, window.promised) < 0) {',
        replace: 'if (compareBallots(ballot, window.promised) <= 0) {',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 20 },
      { by: 'seeds', mode: 'multi', seedsMax: 20 },
    ],
  },
  {
    name: 'accepting-raises-no-promise',
    breaks: 'accepting is a promise too (bug 4)',
    patches: [
      { file: acceptor, find: '> 0 ? [window.raisePromise(ballot)] : []', replace: '> 0 ? [] : []' },
      {
        file: acceptor,
        find: '{ promised: ballot, accepted: ballot, decided: false, entry }',
        replace: '{ promised: held?.promised ?? noBallot, accepted: ballot, decided: false, entry }',
      },
    ],
    killers: [
      { by: 'explorer', bounds: smallPaxos },
      { by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 4' },
    ],
  },
  {
    name: 'lowest-ballot-wins',
    breaks: 'of what phase 1 reports the value of the highest ballot is proposed',
    patches: [
      {
        file: basic,
        find: 'compareBallots(reported.ballot, round.best?.ballot ?? noBallot) > 0',
        replace: '(round.best === undefined || compareBallots(reported.ballot, round.best.ballot) < 0)',
      },
      { file: election, find: 'compareBallots(slot.ballot, best.ballot) > 0', replace: 'compareBallots(slot.ballot, best.ballot) < 0' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'seeds', mode: 'multi', seedsMax: 600 },
    ],
  },
  {
    name: 'ballot-without-boot',
    breaks: 'no two lives of a node use one ballot (bug 8)',
    patches: [
      {
        file: basic,
        find: 'round: ++this.#state.highestRound, node: options.self, boot: options.boot }',
        replace: 'round: ++this.#state.highestRound, node: options.self, boot: 0 }',
      },
      {
        file: election,
        find: 'node: options.self, boot: options.boot }\n    this.noteRound',
        replace: 'node: options.self, boot: 0 }\n    this.noteRound',
      },
    ],
    killers: [
      { by: 'explorer', bounds: { ...smallPaxos, proposers: 1, isApart: true, crashes: 1 } },
      { by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 8' },
    ],
  },
  {
    name: 'own-value-over-an-accepted-one',
    breaks: 'an accepted value that phase 1 reports is proposed again',
    patches: [
      {
        file: basic,
        find: 'round.best?.entry ?? offer?.entry ?? options.noop',
        replace: 'offer?.entry ?? round.best?.entry ?? options.noop',
      },
    ],
    killers: [
      { by: 'explorer', bounds: smallPaxos },
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
    ],
  },
  {
    name: 'no-op-over-an-accepted-value',
    breaks: 'only a slot of which nothing was reported is closed with a no-op',
    patches: [{ file: leader, find: 'reported.get(leading.nextIndex)?.entry ?? options.noop', replace: 'options.noop' }],
    killers: [
      { by: 'explorer', bounds: smallMulti },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'gap-not-filled',
    breaks: 'a new leader closes the slots that nobody finished (bug 1)',
    patches: [
      {
        file: leader,
        find: 'else this.#propose(leading, reported.get(leading.nextIndex)?.entry ?? options.noop, undefined)',
        replace: `else {
        const known = reported.get(leading.nextIndex)?.entry
        if (known === undefined) leading.nextIndex++
        else this.#propose(leading, known, undefined)
      }`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
      { by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 1' },
    ],
  },
  {
    name: 'accepted-taken-for-learned',
    breaks: 'a learner learns what was chosen at a ballot, never what it accepted at another (bug 9)',
    patches: [
      {
        file: learner,
        find: 'if (held === undefined || !sameBallot(held.accepted, commit.ballot)) return',
        replace: 'if (held === undefined || held.accepted.round === 0) return',
      },
      {
        file: basic,
        find: 'if (held !== undefined && sameBallot(held.accepted, ballot)) learner',
        replace: 'if (held !== undefined && held.accepted.round > 0) learner',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'promise-hides-what-is-decided',
    breaks: 'a promise tells what is decided, also where it was let go (bug 2)',
    patches: [
      {
        file: acceptor,
        find: 'decidedThrough: window.decidedThrough, slots: window.report(index)',
        replace: 'decidedThrough: 0, slots: window.report(index)',
      },
      { file: acceptor, find: 'if (this.#answerDecided(from, index)) return', replace: '' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'votes-counted-by-index-only',
    breaks: 'a vote counts for the ballot that it was cast under (bug 12)',
    patches: [
      { file: leader, find: '|| !sameBallot(leading.ballot, ballot)) return', replace: ') return' },
      {
        file: basic,
        find: "round?.phase !== 'Accepting' || !sameBallot(round.ballot, ballot) ||",
        replace: "round?.phase !== 'Accepting' ||",
      },
    ],
    killers: [
      { by: 'explorer', bounds: { ...smallPaxos, proposers: 1, isApart: true, crashes: 1 } },
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'explorer', bounds: { ...smallMulti, ballots: 2, values: 2, proposers: 1, isApart: true, crashes: 1 } },
    ],
  },
  {
    name: 'acknowledge-on-the-own-copy',
    breaks: 'a phase-2 quorum has it on disk before it is decided',
    patches: [
      {
        file: leader,
        find: 'if (this.#core.options.quorums.phase2(proposal.votes))',
        replace: 'if (proposal.votes.has(this.#core.options.self))',
      },
      {
        file: basic,
        find: 'if (!this.#core.options.quorums.phase2(round.yes)) continue',
        replace: 'if (!round.yes.has(this.#core.options.self)) continue',
      },
    ],
    killers: [
      { by: 'explorer', bounds: smallPaxos },
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'read-answer-of-another-boot',
    breaks: 'an answer to a read that an earlier boot asked is none to one of this boot (bug 14)',
    patches: [
      {
        file: `${folder}/src/multi-paxos.ts`,
        find: 'if (boot !== this.#core.options.boot || this.#state.forwarded.get(id)?.isRead !== true) return',
        replace: 'if (this.#state.forwarded.get(id)?.isRead !== true) return',
      },
    ],
    killers: [{ by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 14: an answer to a read of an earlier boot' }],
  },
  {
    name: 'read-confirmed-by-an-older-round',
    breaks: 'a read is confirmed by a round that was sent after it came (bug 12)',
    patches: [{ file: reads, find: 'sequence < running.sequence || ', replace: '' }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 12' },
    ],
  },
  {
    name: 'leader-reads-without-a-round',
    breaks: 'who leads knows it only from a quorum that answers',
    patches: [{ file: leader, find: 'reads.confirmed((nodes) => options.quorums.phase2(nodes))', replace: 'reads.confirmed(() => true)' }],
    killers: [{ by: 'seeds', mode: 'multi', seedsMax: 600 }],
  },
  {
    name: 'read-before-the-reported-slots',
    breaks: 'a new leader reads only when what phase 1 reported is chosen under its ballot (bug 14)',
    patches: [{ file: leader, find: 'window.decidedThrough >= leading.readFloor ?', replace: 'window.decidedThrough >= 0 ?' }],
    killers: [
      { by: 'seeds', mode: 'multi', seedsMax: 600 },
      { by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 14' },
    ],
  },
  {
    name: 'duel-without-end',
    breaks: 'two that duel wait for random, growing times (bug 21)',
    patches: [
      {
        file: basic,
        find: 'const backOff = drawRandom(random) * Math.min(backOffMs * 2 ** Math.min(round.lost, 16), backOffMsMax)',
        replace: 'const backOff = 0',
      },
    ],
    killers: [{ by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 21' }],
  },
  {
    name: 'pre-vote-against-a-leader',
    breaks: 'a node that comes back deposes nobody who leads (bug 22)',
    patches: [{ file: election, find: 'isFit && !hearsLeader && ', replace: 'isFit && ' }],
    killers: [{ by: 'test', folder, file: 'known-bugs.test.ts', test: 'bug 22' }],
  },
  {
    name: 'row-of-a-lower-ballot-kept',
    breaks: 'what is delivered stands in a row that no late accept overwrites',
    patches: [
      {
        file: learner,
        find: 'chosenAt !== undefined && sameBallot(held.accepted, chosenAt) && bytesEqual',
        replace: 'held.accepted.round > 0 && bytesEqual',
      },
    ],
    killers: [{ by: 'test', folder, file: 'multi-paxos.test.ts', test: 'a row that was delivered is never overwritten' }],
  },
  {
    name: 'hole-skipped',
    breaks: 'the decided prefix ends at the first slot that is not known decided',
    patches: [
      { file: slotWindow, find: 'this.#state.slots.get(next)?.decided; next++', replace: 'next <= this.#state.decidedHigh; next++' },
      { file: slotWindow, find: 'this.#state.slots.get(next)!.entry.length', replace: 'this.#state.slots.get(next)?.entry.length ?? 0' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
]
