/**
 * One node of an exploration: the real core, what is on its disk, and what waits to get there. Immutable: a step is taken on
 * a fork, by `node-stepping.ts`. What tells no two nodes apart is in `erased.ts`.
 */
import { bytesToHex } from '@synod/codec'
import type { Protocol } from '@synod/consensus'
import { decodeSlotHeader, type Ballot, type PaxosMessage } from '@synod/consensus-paxos'
import type { Index, StoredSlot, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { ballotText } from '../specification/specification-event.ts'
import { withoutRounds, withoutTimes } from './erased.ts'
import type { NodeInput } from './node-input.ts'
import { NodeStepping, none, type NodeData, type NodeSetting, type Outcome, type Sent } from './node-stepping.ts'

export class ExploredNode {
  readonly #setting: NodeSetting
  readonly #data: NodeData

  constructor(setting: NodeSetting, data: NodeData) {
    this.#setting = setting
    this.#data = data
  }

  /** A node that never ran. */
  static first(setting: NodeSetting, id: NodeId): ExploredNode {
    const disk = { meta: new Map(), slots: new Map(), decidedThrough: 0 }
    return new ExploredNode(setting, new NodeStepping(setting, { id, boot: 0, disk, valueHigh: 0 }).outcome().after)
  }

  /** A node after a step of this one. */
  with(data: NodeData): ExploredNode {
    return new ExploredNode(this.#setting, data)
  }

  get id(): NodeId {
    return this.#data.id
  }

  get boot(): number {
    return this.#data.boot
  }

  get core(): Protocol<PaxosMessage> {
    return this.#data.core
  }

  get isLeader(): boolean {
    return this.#data.isLeader
  }

  get offers(): number {
    return this.#data.offers
  }

  get rounds(): number {
    return this.#data.rounds
  }

  get valueHigh(): number {
    return this.#data.valueHigh
  }

  get fetchTo(): Index {
    return this.#data.fetchTo
  }

  get decided(): ReadonlyMap<Index, string> {
    return this.#data.decided
  }

  get hasWrites(): boolean {
    return this.#data.writes.length > 0
  }

  /** What is durable of an acceptor at a slot where it knows no decision: its promise and its vote. */
  acceptor(index: Index): { readonly promised: Ballot; readonly accepted: Ballot; readonly value: string } | undefined {
    if (index <= this.#data.disk.decidedThrough) return undefined
    const slot = this.#data.disk.slots.get(index)
    if (slot === undefined) return { promised: none, accepted: none, value: '' }
    const header = decodeSlotHeader(slot.header, this.#setting.quorums.members)
    if (header.decided) return undefined
    return { promised: header.promised, accepted: header.accepted, value: header.accepted.round === 0 ? '' : bytesToHex(slot.entry) }
  }

  step(input: NodeInput): Outcome {
    const data = this.#data
    const disk = { ...data.disk, meta: new Map(data.disk.meta), slots: new Map(data.disk.slots) }
    if (input.kind === 'restart') {
      return new NodeStepping(this.#setting, { id: data.id, boot: data.boot, disk, valueHigh: data.valueHigh }).outcome()
    }
    const writes = data.writes.map((write) => ({ ...write, waiting: [...write.waiting] }))
    const stepping = new NodeStepping(this.#setting, { ...data, disk, writes, core: data.core.fork(), decided: new Map(data.decided) })
    stepping.take(input)
    return stepping.outcome()
  }

  /** It knows the decision of every slot that is explored, on disk too. */
  get isDone(): boolean {
    if (this.hasWrites) return false
    for (let index = 1; index <= this.#setting.slots; index++)
      if (!this.decided.has(index) || this.acceptor(index) !== undefined) return false
    return true
  }

  /**
   * Equal for nodes that will behave alike for ever. `isSpent`: it will not begin a round any more, so that the numbers of rounds
   * that it has seen and lost are of no use to it.
   */
  text(isSpent: boolean, rename: (node: NodeId) => NodeId = (node) => node): string {
    // Without a leader such a node says that it is ahead and nothing else, whatever it did before.
    if (this.#setting.definition.mode === 'basic' && this.isDone)
      return `${rename(this.id)} ${this.boot} ${isSpent ? 'spent' : this.rounds} ${this.valueHigh} done ${this.#decidedText}`
    const digest = withoutTimes(this.core.digest(rename))
    const asked = isSpent ? `spent ${this.isLeader ? this.offers : ''}` : `${this.rounds} ${this.offers}`
    return this.#text(rename, asked, isSpent ? withoutRounds(digest) : digest)
  }

  /** Equal for nodes of which nothing differs. */
  exactText(): string {
    return this.#text((node) => node, `${this.rounds} ${this.offers} ${this.#data.now}`, this.core.digest())
  }

  get #decidedText(): string {
    return [...this.decided]
      .map(([index, value]) => `${index}=${value}`)
      .toSorted()
      .join()
  }

  #text(rename: (node: NodeId) => NodeId, asked: string, digest: string): string {
    const { members } = this.#setting.quorums
    const nameBallot = (ballot: Ballot): string => (ballot.round === 0 ? '-' : ballotText({ ...ballot, node: rename(ballot.node) }))
    const slotText = ({ index, header, entry }: StoredSlot): string => {
      const { promised, accepted, decided } = decodeSlotHeader(header, members)
      return `${index}:${nameBallot(promised)}/${nameBallot(accepted)}/${decided}/${bytesToHex(entry)}`
    }
    const operationText = (operation: StoreOperation): string =>
      operation.op === 'slot'
        ? slotText(operation)
        : operation.op === 'meta'
          ? `${operation.key}=${bytesToHex(operation.value)}`
          : `${operation.op} ${operation.index}`
    const sentText = ({ to, message }: Sent): string => `${to.map(rename).join('+')} ${bytesToHex(this.core.codec.encode(message))}`
    return [
      `${rename(this.id)} ${this.boot} ${this.isLeader} ${asked} ${this.valueHigh} ${this.fetchTo}`,
      this.#decidedText,
      `${this.#data.disk.decidedThrough} ${[...this.#data.disk.meta]
        .map(([key, value]) => `${key}=${bytesToHex(value)}`)
        .toSorted()
        .join()}`,
      [...this.#data.disk.slots.values()].map(slotText).toSorted().join(),
      this.#data.writes
        .map(
          ({ token, operations, waiting }) => `${token} ${operations.map(operationText).join('+')} > ${waiting.map(sentText).join(', ')}`,
        )
        .join('; '),
      digest,
    ].join('\n')
  }
}
