/**
 * One step of one node: the core on a fork, and the runtime's duties as `hosted-loglet.ts` has them: writes are applied in
 * order, a send waits for the writes emitted before it, a restart gets what is durable and nothing else. Whatever breaks that
 * contract is told.
 *
 * Time stands still but for `stand`, so nobody counts silence; what would be sent again for lack of an answer is the duplicate that
 * the pool has anyway. Statuses, pre-votes, heartbeats, forwarded offers and reads are left out of the network: a starting node is
 * told that the others are there, and one that stands is told yes by pre-vote, which promises nothing.
 */
import { bytesEqual, bytesToHex, type Bytes } from '@synod/codec'
import type { Effect, Input, Protocol, ProtocolDefinition, Quorums } from '@synod/consensus'
import { decodeSlotHeader, type Ballot, type PaxosMessage } from '@synod/consensus-paxos'
import type { Index, StoredSlot, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import {
  ballotText,
  compareBallots,
  eventOfDecision,
  eventsOfMessage,
  eventsOfWrite,
  sameBallot,
  type SpecificationEvent,
} from '../specification/specification-event.ts'
import type { NodeInput } from './node-input.ts'

export interface Sent {
  readonly to: readonly NodeId[]
  readonly message: PaxosMessage
}

export interface OutstandingWrite {
  readonly token: number
  readonly operations: readonly StoreOperation[]
  readonly waiting: Sent[]
}

export interface Disk {
  readonly meta: Map<string, Bytes>
  readonly slots: Map<Index, StoredSlot>
  decidedThrough: Index
}

/** What one step of a node brought about. */
export interface Outcome {
  readonly after: NodeData
  readonly sent: readonly Sent[]
  /** In the order in which they happened. */
  readonly events: readonly SpecificationEvent[]
  /** It went beyond the bound on slots: not to be followed. */
  readonly isBeyond: boolean
  /** A rule of the runtime's contract was broken. */
  readonly broken: string | undefined
}

export interface NodeSetting {
  readonly definition: ProtocolDefinition<PaxosMessage>
  readonly quorums: Quorums
  readonly slots: number
  readonly values: number
  readonly isApart: boolean
  /** Where clocks begin, and what generators are seeded with: it must not matter. */
  readonly clockMs: number
  readonly seed: number
}

export const none: Ballot = { round: 0, node: '', boot: 0 }
export const noop: Bytes = new TextEncoder().encode('noop')
export const entryOf = (value: number): Bytes => new TextEncoder().encode(`v${value}`)
/** Longer than every time-out that a waiting round draws, and far below those that the explored settings switch off. */
const standMs = 400_000
export interface NodeData {
  readonly id: NodeId
  readonly boot: number
  readonly core: Protocol<PaxosMessage>
  readonly disk: Disk
  readonly writes: OutstandingWrite[]
  /** What it knows decided, in this life or from its disk, as hexadecimal. */
  readonly decided: Map<Index, string>
  now: number
  isLeader: boolean
  /** Of this life; bounds what it may still be offered. */
  offers: number
  /** Rounds that it began in this life. */
  rounds: number
  /** The highest value that it was ever offered, the last one not told from the one before: after either, all may be offered. */
  valueHigh: number
  /** It asked its runtime for decisions up to here; with a leader only, since else they come in the same step. */
  fetchTo: Index
}

export class NodeStepping {
  readonly #setting: NodeSetting
  readonly #draft: NodeData
  readonly #sent: Sent[] = []
  readonly #events: SpecificationEvent[] = []
  #isBeyond = false
  #broken: string | undefined
  /** Of the pre-vote that it just asked for. */
  #nonce: number | undefined

  /** Of a running node, whose data it changes; or of one that starts from its disk. */
  constructor(setting: NodeSetting, from: NodeData | Pick<NodeData, 'id' | 'boot' | 'disk' | 'valueHigh'>) {
    this.#setting = setting
    if ('core' in from) {
      this.#draft = from
      return
    }
    const { definition, quorums } = setting
    const { id, disk, valueHigh } = from
    const boot = from.boot + 1
    const window = [...disk.slots.values()]
      .filter(({ index }) => index > disk.decidedThrough)
      .toSorted((left, right) => left.index - right.index)
    const recovered = { epoch: 1, meta: new Map(disk.meta), decidedThrough: disk.decidedThrough, window }
    const core = definition.open({ self: id, epoch: 1, boot, members: quorums.members, quorums, recovered, seed: setting.seed, noop })
    const decided = new Map<Index, string>()
    for (let index = 1; index <= disk.decidedThrough; index++) decided.set(index, bytesToHex(disk.slots.get(index)!.entry))
    this.#draft = {
      id,
      boot,
      core,
      disk,
      writes: [],
      decided,
      now: setting.clockMs,
      isLeader: false,
      offers: 0,
      rounds: 0,
      valueHigh,
      fetchTo: 0,
    }
    this.#begin()
  }

  outcome(): Outcome {
    return { after: this.#draft, sent: this.#sent, events: this.#events, isBeyond: this.#isBeyond, broken: this.#broken }
  }

  take(input: NodeInput): void {
    const draft = this.#draft
    switch (input.kind) {
      case 'message':
        this.#step({ kind: 'message', from: input.from, message: input.message })
        break
      case 'offer':
        draft.offers++
        draft.valueHigh = Math.max(draft.valueHigh, Math.min(input.value, this.#setting.values - 1))
        this.#step({ kind: 'offer', id: draft.offers, entry: entryOf(input.value) })
        break
      case 'stand':
        draft.now += standMs
        this.#step({ kind: 'tick', now: draft.now })
        this.#grantPreVote()
        break
      case 'sync':
        this.#sync()
        break
      case 'learn':
        this.#step({ kind: 'learn', index: input.index, header: new Uint8Array(0), entry: new Uint8Array(Buffer.from(input.value, 'hex')) })
        break
      case 'restart':
        throw new Error('a restart is not a step of a core')
    }
    if (!this.#setting.isApart) this.#syncAll()
  }

  /** The first tick, and the news that the others are there, as they all were when the cluster was new. */
  #begin(): void {
    const { definition, quorums } = this.#setting
    const { id, boot } = this.#draft
    this.#step({ kind: 'tick', now: this.#draft.now })
    if (definition.mode === 'basic') {
      for (const from of quorums.members) {
        if (from !== id)
          this.#step({ kind: 'message', from, message: { kind: 'statusAck', boot, sequence: 1, decidedThrough: 0, high: 0 } })
      }
    }
    if (!this.#setting.isApart) this.#syncAll()
  }

  #grantPreVote(): void {
    const { boot, id } = this.#draft
    const nonce = this.#nonce
    if (nonce === undefined) return
    for (const from of this.#setting.quorums.members) {
      if (from !== id)
        this.#step({
          kind: 'message',
          from,
          message: { kind: 'preVoteReply', boot, nonce, granted: true, promised: none, decidedThrough: 0 },
        })
    }
  }

  #step(input: Input<PaxosMessage>): void {
    for (const effect of this.#draft.core.step(input)) this.#onEffect(effect)
  }

  #syncAll(): void {
    while (this.#draft.writes.length > 0) this.#sync()
  }

  #sync(): void {
    const { id, disk, writes } = this.#draft
    const write = writes.shift()
    if (write === undefined) return
    for (const operation of write.operations) this.#apply(disk, operation)
    this.#note(eventsOfWrite(id, write.operations, this.#setting.quorums.members))
    for (const sent of write.waiting) this.#release(sent)
    this.#step({ kind: 'durable', token: write.token })
  }

  #apply(disk: Disk, operation: StoreOperation): void {
    const { members } = this.#setting.quorums
    if (operation.op === 'meta') disk.meta.set(operation.key, operation.value)
    else if (operation.op === 'decidedThrough') disk.decidedThrough = Math.max(disk.decidedThrough, operation.index)
    else if (operation.op === 'truncateFrom') this.#break(`it truncates from ${operation.index}`)
    else {
      const { index, header, entry } = operation
      const before = disk.slots.get(index)
      if (before !== undefined) {
        const was = decodeSlotHeader(before.header, members)
        const is = decodeSlotHeader(header, members)
        if (compareBallots(is.promised, was.promised) < 0)
          this.#break(`its promise on disk falls from ${ballotText(was.promised)} to ${ballotText(is.promised)}`)
        if (was.decided && !bytesEqual(before.entry, entry)) this.#break(`it overwrites the decision of slot ${index}`)
      }
      disk.slots.set(index, { index, header, entry })
    }
  }

  #onEffect(effect: Effect<PaxosMessage>): void {
    const draft = this.#draft
    switch (effect.kind) {
      case 'persist':
        draft.writes.push({ token: effect.token, operations: effect.operations, waiting: [] })
        return
      case 'send': {
        const { to, message } = effect
        const last = draft.writes.at(-1)
        if (effect.reveals === 'nothing' || last === undefined) this.#release({ to, message })
        else if (!last.waiting.some((sent) => isSame(this.#draft.core, sent, { to, message }))) last.waiting.push({ to, message })
        return
      }
      case 'decide':
        if (effect.index > this.#setting.slots) return
        draft.decided.set(effect.index, bytesToHex(effect.entry))
        this.#note([eventOfDecision(draft.id, effect)])
        return
      case 'role':
        draft.isLeader = effect.role === 'leader'
        return
      case 'fetch':
        if (this.#setting.definition.mode === 'basic') return
        draft.fetchTo = Math.max(draft.fetchTo, Math.min(effect.to, this.#setting.slots))
        return
      case 'settle':
      case 'readAt':
      case 'trace':
    }
  }

  #release(sent: Sent): void {
    const { message } = sent
    switch (message.kind) {
      case 'preVote':
        this.#nonce = message.nonce
        return
      case 'prepare':
        if (message.index > this.#setting.slots) return this.#beyond(message.scope)
        this.#draft.rounds++
        this.#note(eventsOfMessage(this.#draft.id, message))
        break
      case 'accept':
        if (message.slots.some(({ index }) => index > this.#setting.slots))
          return this.#beyond(this.#setting.definition.mode === 'basic' ? 'slot' : 'suffix')
        this.#note(eventsOfMessage(this.#draft.id, message))
        break
      case 'promise':
        this.#checkPromise(message)
        break
      case 'accepted':
        this.#checkAccepted(message)
        break
      case 'nack':
      case 'chosen':
      case 'decision':
      case 'ahead':
      case 'commit':
        break
      default:
        return
    }
    this.#sent.push(sent)
  }

  /** A slot beyond the bound has a round of its own, of which nothing leaves the node; a leader must not get there at all. */
  #beyond(scope: 'slot' | 'suffix'): void {
    if (scope === 'suffix') this.#isBeyond = true
  }

  #note(events: readonly SpecificationEvent[]): void {
    const isWithin = (event: SpecificationEvent): boolean =>
      !('index' in event) || event.index === undefined || event.index <= this.#setting.slots
    this.#events.push(...events.filter(isWithin))
  }

  /** Persist, then send. */
  #checkPromise({ ballot, index }: Extract<PaxosMessage, { kind: 'promise' }>): void {
    const { disk } = this.#draft
    if (this.#setting.definition.mode === 'multi') {
      const isThere = eventsOfWrite(
        this.#draft.id,
        [...disk.meta].map(([key, value]) => ({ op: 'meta', epoch: 1, key, value })),
        this.#setting.quorums.members,
      )
      if (!isThere.some((event) => event.kind === '1b' && compareBallots(event.ballot, ballot) >= 0))
        this.#break(`its promise ${ballotText(ballot)} leaves before it is on disk`)
      return
    }
    const slot = disk.slots.get(index)
    const promised = slot === undefined ? none : decodeSlotHeader(slot.header, this.#setting.quorums.members).promised
    if (compareBallots(promised, ballot) < 0) this.#break(`its promise ${ballotText(ballot)} leaves before it is on disk`)
  }

  /** Where it knows the decision, its yes is a vote without a write: under any higher ballot the value can only be that. */
  #checkAccepted({ ballot, indexes }: Extract<PaxosMessage, { kind: 'accepted' }>): void {
    const { id, disk, decided } = this.#draft
    for (const index of indexes) {
      const slot = disk.slots.get(index)
      const isVoted = slot !== undefined && sameBallot(decodeSlotHeader(slot.header, this.#setting.quorums.members).accepted, ballot)
      if (isVoted) continue
      if (decided.has(index)) this.#note([{ kind: 'says2b', node: id, ballot, index }])
      else this.#break(`its vote for slot ${index} under ${ballotText(ballot)} leaves before it is on disk`)
    }
  }

  #break(what: string): void {
    this.#broken ??= what
  }
}

/** Said twice is said once: the pool is a set. */
function isSame({ codec }: Protocol<PaxosMessage>, left: Sent, right: Sent): boolean {
  return left.to.join() === right.to.join() && bytesEqual(codec.encode(left.message), codec.encode(right.message))
}
