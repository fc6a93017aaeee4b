/**
 * Replays a recorded run through the specification. Each slot is a state of the Paxos model (A): a step that the model does not
 * allow is an error, and so is a claim that is not true of the model at that moment; docs/specification.md lists both. A
 * leader's 1a covers every slot from its index on, and so do the promises for it. Above the slots stands (B), the log: `log-replay.ts`.
 */
import type { Quorums } from '@synod/consensus'
import type { Ballot } from '@synod/consensus-paxos'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { eventText } from './event-text.ts'
import { LogReplay } from './log-replay.ts'
import { PaxosModel } from './paxos-model.ts'
import { SlotReplay } from './slot-replay.ts'
import { ballotText, compareBallots, sameBallot, type SpecificationEvent } from './specification-event.ts'

type Event<K extends SpecificationEvent['kind']> = Extract<SpecificationEvent, { kind: K }>

export interface Replayed {
  readonly events: number
  readonly slots: number
  readonly ballots: number
  /** Steps of the model; one event may be a step at several slots. */
  readonly steps: number
  /** Events that changed no slot: claims, and what happened before. */
  readonly stutters: number
  /** Slots with a chosen value. */
  readonly chosen: number
  /** Slots that machines applied, each node's counted. */
  readonly applied: number
  /** Starts of nodes, of which all but the first ones had something to remember. */
  readonly restarts: number
}

export class SpecificationError extends Error {
  readonly code = 'step_not_allowed'
  /** Of the event in the trace, from 0. */
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.name = 'SpecificationError'
    this.at = at
  }
}

/** Throws a SpecificationError that quotes the first event that the specification does not allow. */
export function replay(trace: readonly SpecificationEvent[], quorums: Quorums): Replayed {
  const replaying = new Replay(trace, quorums)
  for (const [at, event] of trace.entries()) {
    const refusal = replaying.on(event)
    if (refusal !== undefined) throw new SpecificationError(`event ${at + 1} of ${trace.length}, ${eventText(event)}: ${refusal}`, at)
  }
  return replaying.result()
}

class Replay {
  readonly #quorums: Quorums
  readonly #slots = new Map<Index, SlotReplay>()
  /** Ballot → the slots that its 1a covers, once that was sent. */
  readonly #covered = new Map<string, { readonly from: Index; readonly through: Index }>()
  /** Where one promise covers every slot: the one that is durable, by node. */
  readonly #floors = new Map<NodeId, Ballot>()
  readonly #isSuffix: boolean
  readonly #ballots: number
  readonly #log: LogReplay
  #events = 0
  #steps = 0
  #stutters = 0
  #restarts = 0

  constructor(trace: readonly SpecificationEvent[], quorums: Quorums) {
    this.#quorums = quorums
    const starts = [
      ...new Map(trace.flatMap((event) => (event.kind === '1a' ? [[ballotText(event.ballot), event] as const] : []))).values(),
    ]
    starts.sort((left, right) => compareBallots(left.ballot, right.ballot))
    this.#ballots = starts.length
    this.#isSuffix = starts.some(({ scope }) => scope === 'suffix')
    const values = new Map<Index, Set<string>>()
    for (const event of trace) {
      if (!('index' in event) || event.index === undefined) continue
      const known = values.get(event.index) ?? new Set()
      values.set(event.index, event.kind === '2a' ? known.add(event.value) : known)
    }
    const suffixes = starts.filter(({ scope }) => scope === 'suffix')
    const singles = Map.groupBy(
      starts.filter(({ scope }) => scope === 'slot'),
      ({ index }) => index,
    )
    const models = new Map<string, PaxosModel>()
    for (const index of [...values.keys()].toSorted((left, right) => left - right)) {
      const ballots = [...suffixes.filter((start) => start.index <= index), ...(singles.get(index) ?? [])].map(({ ballot }) => ballot)
      const size = `${ballots.length} ${values.get(index)!.size}`
      const model = models.get(size) ?? this.#modelOf(ballots.length, values.get(index)!.size)
      models.set(size, model)
      this.#slots.set(index, new SlotReplay(index, model, ballots.toSorted(compareBallots), values.get(index)!))
    }
    this.#log = new LogReplay((index) => this.#slots.get(index))
  }

  /** Why not, when it is not allowed. */
  on(event: SpecificationEvent): string | undefined {
    const before = this.#steps
    this.#events++
    const refusal = this.#handle(event)
    if (this.#steps === before) this.#stutters++
    return refusal
  }

  result(): Replayed {
    const chosen = [...this.#slots.values()].filter(({ isChosen }) => isChosen).length
    const counts = { events: this.#events, slots: this.#slots.size, ballots: this.#ballots, steps: this.#steps }
    return { ...counts, stutters: this.#stutters, chosen, applied: this.#log.applied, restarts: this.#restarts }
  }

  #handle(event: SpecificationEvent): string | undefined {
    switch (event.kind) {
      case '1a':
        return this.#onStart(event)
      case '1b':
        return this.#onPromise(event)
      case '2a':
        return this.#counted(this.#slots.get(event.index)!, (slot) => slot.propose(event.ballot, event.value))
      case '2b':
        return this.#onAccept(event)
      case 'learned':
        if (!this.#slots.get(event.index)!.hasChosen(event.value)) return 'the value was learned and is not chosen'
        this.#log.learn(event.node, event.index)
        return undefined
      case 'applied':
        return this.#log.apply(event.node, event.index)
      case 'says1b':
        return this.#onSaidPromise(event)
      case 'says2b':
        return this.#onSaidVote(event)
      case 'saysDecided':
        return this.#log.chosenThrough(event.through) ? undefined : 'there is a slot below where nothing is chosen'
      case 'saysChosen':
        return this.#slots.get(event.index)!.hasChosenAt(event.ballot) ? undefined : 'the value of that 2a is not chosen'
      case 'restarts':
        return this.#onRestart(event)
    }
  }

  #onStart({ ballot, scope, index }: Event<'1a'>): string | undefined {
    const name = ballotText(ballot)
    const before = this.#covered.get(name)
    const covers = { from: index, through: scope === 'suffix' ? Number.POSITIVE_INFINITY : index }
    if (before !== undefined && (before.from !== covers.from || before.through !== covers.through))
      return `the ballot was used for slot ${before.from} before`
    if (before !== undefined) return undefined
    this.#covered.set(name, covers)
    for (const slot of this.#slotsOf(covers)) this.#counted(slot, () => slot.start(ballot))
    return undefined
  }

  #onPromise({ node, ballot, index, report }: Event<'1b'>): string | undefined {
    const acceptor = this.#acceptor(node)
    if (typeof acceptor === 'string') return acceptor
    const covers = this.#covered.get(ballotText(ballot))
    if (covers === undefined) return 'there was no 1a of this ballot'
    if (index !== undefined && (index < covers.from || index > covers.through)) return `its 1a was for slot ${covers.from}`
    const floor = this.#floors.get(node)
    if (this.#isSuffix && floor !== undefined && compareBallots(ballot, floor) < 0)
      return `it has promised ${ballotText(floor)} for every slot`
    if (this.#isSuffix && index === undefined) this.#floors.set(node, ballot)
    for (const slot of this.#slotsOf(covers)) {
      const refusal =
        (report === undefined ? undefined : slot.compareReport(acceptor, report)) ??
        this.#counted(slot, () => slot.promise(acceptor, ballot))
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  #onAccept({ node, ballot, index, value }: Event<'2b'>): string | undefined {
    const acceptor = this.#acceptor(node)
    if (typeof acceptor === 'string') return acceptor
    return this.#belowFloor(node, ballot) ?? this.#counted(this.#slots.get(index)!, (slot) => slot.accept(acceptor, ballot, value))
  }

  #onSaidPromise({ node, ballot, report }: Event<'says1b'>): string | undefined {
    const acceptor = this.#acceptor(node)
    if (typeof acceptor === 'string') return acceptor
    const covers = this.#covered.get(ballotText(ballot))
    if (covers === undefined) return 'there was no 1a of this ballot'
    const unknown = report.votes.find(({ index }) => !this.#slots.has(index))
    if (unknown !== undefined) return `at slot ${unknown.index} nobody voted`
    if (!this.#log.chosenThrough(report.decidedThrough)) return 'there is a slot that it tells decided and where nothing is chosen'
    const low = this.#belowFloor(node, ballot)
    if (low !== undefined) return low
    for (const slot of this.#slotsOf(covers)) {
      const refusal = slot.comparePromise(acceptor, ballot, report)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  #onSaidVote({ node, ballot, index }: Event<'says2b'>): string | undefined {
    const acceptor = this.#acceptor(node)
    if (typeof acceptor === 'string') return acceptor
    const isKnown = this.#log.knows(node, index)
    return this.#belowFloor(node, ballot) ?? this.#counted(this.#slots.get(index)!, (slot) => slot.compareVote(acceptor, ballot, isKnown))
  }

  /** A crash is a stutter: what an acceptor promised and voted, and what the machine applied, is there again. */
  #onRestart({ node, promised, decidedThrough, slots }: Event<'restarts'>): string | undefined {
    this.#restarts++
    const acceptor = this.#acceptor(node)
    if (typeof acceptor === 'string') return acceptor
    const floor = this.#floors.get(node)
    const isSame = floor === undefined || promised === undefined ? floor === promised : sameBallot(floor, promised)
    if (!isSame) return `it has promised ${floor === undefined ? 'nothing' : ballotText(floor)} for every slot, and its disk says otherwise`
    if (!this.#log.chosenThrough(decidedThrough)) return 'there is a slot that its disk tells decided and where nothing is chosen'
    const unknown = slots.find(({ index }) => !this.#slots.has(index))
    if (unknown !== undefined) return `its disk holds slot ${unknown.index}, where nothing happened`
    const held = new Map(slots.map((slot) => [slot.index, slot]))
    for (const slot of this.#slotsOf({ from: decidedThrough + 1, through: Number.POSITIVE_INFINITY })) {
      const refusal = slot.compareDisk(acceptor, held.get(slot.index), this.#isSuffix)
      if (refusal !== undefined) return refusal
    }
    return this.#log.restart(node, decidedThrough, slots)
  }

  /** Where one promise covers every slot, a vote and a promise are of the ballot that is promised: accepting raises it in the same write. */
  #belowFloor(node: NodeId, ballot: Ballot): string | undefined {
    if (!this.#isSuffix) return undefined
    const floor = this.#floors.get(node)
    if (floor !== undefined && sameBallot(floor, ballot)) return undefined
    return floor === undefined ? 'it has promised nothing' : `it has promised ${ballotText(floor)} for every slot`
  }

  #acceptor(node: NodeId): number | string {
    const acceptor = this.#quorums.members.indexOf(node)
    return acceptor === -1 ? `${node} is no acceptor` : acceptor
  }

  #counted<T>(slot: SlotReplay, run: (slot: SlotReplay) => T): T {
    const before = slot.steps
    const result = run(slot)
    this.#steps += slot.steps - before
    return result
  }

  #slotsOf({ from, through }: { from: Index; through: Index }): SlotReplay[] {
    if (from !== through) return [...this.#slots.values()].filter(({ index }) => index >= from && index <= through)
    const slot = this.#slots.get(from)
    return slot === undefined ? [] : [slot]
  }

  #modelOf(ballots: number, values: number): PaxosModel {
    const quorums = this.#quorums
    const { members } = quorums
    const sets = Array.from({ length: 1 << members.length }, (_, set) => new Set(members.filter((_node, bit) => (set & (1 << bit)) !== 0)))
    const first = sets.map((nodes) => quorums.phase1(nodes))
    const second = sets.map((nodes) => quorums.phase2(nodes))
    const isPhase1Quorum = (set: number): boolean => first[set] === true
    const isPhase2Quorum = (set: number): boolean => second[set] === true
    return new PaxosModel({ acceptors: members.length, ballots, values, isPhase1Quorum, isPhase2Quorum })
  }
}
