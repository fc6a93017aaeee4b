/** One slot of a replay: a state of the model, whose ballots and values are those of the trace at this slot, numbered in order. */
import type { Ballot } from '@synod/consensus-paxos'
import type { Index } from '@synod/log'
import type { ModelAction, ModelState, PaxosModel } from './paxos-model.ts'
import { ballotText, type HeldSlot, type Report } from './specification-event.ts'

export class SlotReplay {
  readonly index: Index
  readonly #model: PaxosModel
  readonly #state: ModelState
  readonly #ballots: readonly Ballot[]
  readonly #ranks: ReadonlyMap<string, number>
  readonly #values: ReadonlyMap<string, number>
  readonly #chosen = new Set<number>()
  #steps = 0

  /** `ballots` ascend; `model` has as many. */
  constructor(index: Index, model: PaxosModel, ballots: readonly Ballot[], values: ReadonlySet<string>) {
    this.index = index
    this.#model = model
    this.#state = model.initial()
    this.#ballots = ballots
    this.#ranks = new Map(ballots.map((ballot, at) => [ballotText(ballot), at + 1]))
    this.#values = new Map([...values].map((value, at) => [value, at + 1]))
  }

  /** Steps of the model so far. */
  get steps(): number {
    return this.#steps
  }

  get isChosen(): boolean {
    return this.#chosen.size > 0
  }

  /** This value is. */
  hasChosen(value: string): boolean {
    return this.#chosen.has(this.#values.get(value) ?? -1)
  }

  /** What was proposed under the ballot is. */
  hasChosenAt(ballot: Ballot): boolean {
    const rank = this.#rank(ballot)
    return rank !== 0 && this.#chosen.has(this.#model.proposal(this.#state, rank))
  }

  start(ballot: Ballot): void {
    this.#perform({ kind: 'start', ballot: this.#rank(ballot) })
  }

  /** Each of these: why not, when it is not allowed. */
  promise(acceptor: number, ballot: Ballot): string | undefined {
    const rank = this.#rank(ballot)
    if (rank === 0 || !this.#model.isStarted(this.#state, rank)) return `there was no 1a of this ballot for slot ${this.index}`
    const isDone = this.#model.promised(this.#state, acceptor) === rank
    return isDone || this.#perform({ kind: 'promise', acceptor, ballot: rank }) ? undefined : this.#higher(acceptor)
  }

  propose(ballot: Ballot, value: string): string | undefined {
    const rank = this.#rank(ballot)
    const proposed = this.#values.get(value) ?? -1
    if (rank === 0) return 'there was no 1a of this ballot for this slot'
    const before = this.#model.proposal(this.#state, rank)
    if (before !== 0) return before === proposed ? undefined : 'another value was proposed under this ballot'
    return this.#perform({ kind: 'propose', ballot: rank, value: proposed }) ? undefined : 'no quorum of 1b allows this value'
  }

  accept(acceptor: number, ballot: Ballot, value: string): string | undefined {
    const rank = this.#rank(ballot)
    const proposed = rank === 0 ? 0 : this.#model.proposal(this.#state, rank)
    if (proposed === 0) return 'there was no 2a of this ballot'
    if (this.#values.get(value) !== proposed) return 'that is not the value of the 2a'
    return this.#accept(acceptor, rank)
  }

  /** A promise that is durable is said: nothing new, and the vote as it is. What is decided is told as that. */
  comparePromise(acceptor: number, ballot: Ballot, { decidedThrough, decided, votes }: Report): string | undefined {
    if (this.#model.promised(this.#state, acceptor) !== this.#rank(ballot)) return `its promise is not durable for slot ${this.index}`
    return this.compareReport(acceptor, { decidedThrough, decided, votes })
  }

  compareReport(acceptor: number, { decidedThrough, decided, votes }: Report): string | undefined {
    if (this.index <= decidedThrough) return this.isChosen ? undefined : `slot ${this.index} is told decided, and nothing is chosen`
    const known = decided.find(({ index }) => index === this.index)
    if (known !== undefined) return this.hasChosen(known.value) ? undefined : `slot ${this.index} is told decided with a value not chosen`
    const said = votes.find(({ index }) => index === this.index)
    return this.#isVote(acceptor, said?.ballot, said?.value ?? '') ? undefined : this.#voted(acceptor, 'and says otherwise')
  }

  /**
   * A vote that is said is durable, or the node knows the decision: then it says yes without a write. Under a ballot at or above the one
   * that chose, that changes nothing, for the value is the same. Under a lower one it is a vote of the model, which has to allow it: the
   * node has not promised the higher ballot, nor have others who could still say so, and they are no quorum.
   */
  compareVote(acceptor: number, ballot: Ballot, isKnown: boolean): string | undefined {
    const rank = this.#rank(ballot)
    if (rank === 0 || this.#model.proposal(this.#state, rank) === 0) return 'there was no 2a of this ballot'
    if (this.#model.hasAccepted(this.#state, acceptor, rank)) return undefined
    if (!isKnown) return 'its vote is not durable, and it does not know the decision'
    return this.hasChosenAt(ballot) ? undefined : this.#accept(acceptor, rank)
  }

  /** What is on its disk after a restart, for a slot that it does not know decided; `isSuffix`: promises are not per slot. */
  compareDisk(acceptor: number, held: HeldSlot | undefined, isSuffix: boolean): string | undefined {
    if (held?.isDecided === true)
      return this.hasChosen(held.value) ? undefined : `it holds a decision of slot ${this.index} with a value not chosen`
    if (!this.#isVote(acceptor, held?.accepted, held?.value ?? '')) return this.#voted(acceptor, 'and its disk holds something else')
    const promised = held?.promised === undefined ? 0 : this.#rank(held.promised)
    if (isSuffix || promised === this.#model.promised(this.#state, acceptor)) return undefined
    return `at slot ${this.index} ${this.#higher(acceptor)}, and its disk says ${this.#name(promised)}`
  }

  #accept(acceptor: number, rank: number): string | undefined {
    if (!this.#perform({ kind: 'accept', acceptor, ballot: rank }) && !this.#model.hasAccepted(this.#state, acceptor, rank))
      return this.#higher(acceptor)
    if (this.#model.isChosenAt(this.#state, rank)) this.#chosen.add(this.#model.proposal(this.#state, rank))
    return this.#chosen.size > 1 ? 'two values are chosen' : undefined
  }

  #isVote(acceptor: number, ballot: Ballot | undefined, value: string): boolean {
    const vote = this.#model.vote(this.#state, acceptor)
    if (ballot === undefined) return vote.ballot === 0
    return vote.ballot !== 0 && vote.ballot === this.#rank(ballot) && vote.value === this.#values.get(value)
  }

  #voted(acceptor: number, otherwise: string): string {
    const { ballot } = this.#model.vote(this.#state, acceptor)
    return `at slot ${this.index} it voted ${ballot === 0 ? 'for nothing' : `under ${this.#name(ballot)}`}, ${otherwise}`
  }

  #higher(acceptor: number): string {
    return `it has promised ${this.#name(this.#model.promised(this.#state, acceptor))}`
  }

  /** False when the model does not allow it, or it was done before. */
  #perform(action: ModelAction): boolean {
    if (!this.#model.isEnabled(this.#state, action)) return false
    this.#model.perform(this.#state, action)
    this.#steps++
    return true
  }

  /** 0: a ballot that nobody began for this slot. */
  #rank(ballot: Ballot): number {
    return this.#ranks.get(ballotText(ballot)) ?? 0
  }

  #name(rank: number): string {
    const ballot = this.#ballots[rank - 1]
    return ballot === undefined ? 'nothing' : ballotText(ballot)
  }
}
