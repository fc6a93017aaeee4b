/** A core with the runtime's duties done by hand: a disk that can lose what was not synced, and sends that wait for it. */
import { bytesEqual } from '@synod/codec'
import type { Effect, Input, Protocol, ProtocolDefinition, Quorums } from '@synod/consensus'
import type { PaxosMessage } from '@synod/consensus-paxos'
import type { RecoveredEpoch, StoredSlot, StoreOperation } from '@synod/log'
import type { Oracle } from './oracle.ts'

export const noop = new Uint8Array([1, 0])

export interface Packet {
  readonly from: string
  readonly to: string
  readonly message: PaxosMessage
}

export interface LabHooks {
  onPacket(packet: Packet): void
  onPersist(node: LabNode): void
  onFetch(node: LabNode, from: number, to: number, peer: string | undefined): void
}

interface Read {
  readonly deliveredBefore: number
  index?: number
}

export class LabNode {
  readonly id: string
  readonly definition: ProtocolDefinition<PaxosMessage>
  readonly quorums: Quorums
  readonly oracle: Oracle
  readonly hooks: LabHooks
  readonly meta = new Map<string, Uint8Array>()
  readonly slots = new Map<number, StoredSlot>()
  decidedThrough = 0
  boot = 0
  seed = 0
  core: Protocol<PaxosMessage> | undefined
  /** Writes that are not durable yet. */
  writes: { token: number; operations: readonly StoreOperation[] }[] = []
  #held: { after: number; packets: Packet[] }[] = []
  #lastToken = 0
  #durable = 0
  #lastId = 0
  #decided = new Map<number, Uint8Array>()
  #tokens = new Map<number, number>()
  /** In order and durable here, since the last opening. */
  delivered = 0
  /** In any boot. */
  readonly #rowsDelivered = new Map<number, Uint8Array>()
  offers = new Map<number, string>()
  reads = new Map<number, Read>()
  role: Extract<Effect<PaxosMessage>, { kind: 'role' }> | undefined
  traces: string[] = []

  constructor(id: string, definition: ProtocolDefinition<PaxosMessage>, members: readonly string[], oracle: Oracle, hooks: LabHooks) {
    this.id = id
    this.definition = definition
    this.quorums = definition.quorums(members)
    this.oracle = oracle
    this.hooks = hooks
  }

  open(): this {
    this.boot++
    this.writes = []
    this.#held = []
    this.#lastToken = this.#durable = 0
    this.#decided = new Map()
    this.#tokens = new Map()
    this.delivered = this.decidedThrough
    this.offers = new Map()
    this.reads = new Map()
    const window = [...this.slots.values()]
      .filter(({ index }) => index > this.decidedThrough)
      .toSorted((left, right) => left.index - right.index)
    const recovered: RecoveredEpoch = { epoch: 1, meta: new Map(this.meta), decidedThrough: this.decidedThrough, window }
    const { members } = this.quorums
    this.core = this.definition.open({
      self: this.id,
      epoch: 1,
      boot: this.boot,
      members,
      quorums: this.quorums,
      recovered,
      seed: this.seed + this.boot,
      noop,
    })
    return this
  }

  get running(): Protocol<PaxosMessage> {
    if (this.core === undefined) throw new Error(`${this.id} is down`)
    return this.core
  }

  /** `survive` of the writes under way reached the disk all the same, and nobody heard of it. */
  crash(survive = 0): void {
    for (const { operations } of this.writes.slice(0, survive)) this.#apply(operations)
    this.core = undefined
    this.writes = []
    this.#held = []
  }

  step(input: Input<PaxosMessage>): void {
    for (const effect of this.running.step(input)) this.#onEffect(effect)
    this.#deliver()
  }

  offer(entry: Uint8Array): number {
    const id = ++this.#lastId
    this.offers.set(id, 'open')
    this.step({ kind: 'offer', id, entry })
    return id
  }

  barrier(): number {
    const id = ++this.#lastId
    this.reads.set(id, { deliveredBefore: this.oracle.deliveredHigh })
    this.step({ kind: 'barrier', id })
    return id
  }

  /** The disk has done some of its writes, by default all of those under way now. */
  sync(count = this.writes.length): void {
    const done = this.writes.splice(0, count)
    const last = done.at(-1)
    if (last === undefined) return
    for (const { operations } of done) this.#apply(operations)
    this.#durable = last.token
    this.step({ kind: 'durable', token: last.token })
    while (this.#held[0] !== undefined && this.#held[0].after <= this.#durable) this.#release(this.#held.shift()!.packets)
    this.#deliver()
  }

  /** What a peer gets that asks for decisions. */
  serve(from: number, to: number): StoredSlot[] {
    const served: StoredSlot[] = []
    for (let index = from; index <= Math.min(to, this.delivered); index++) served.push(this.slots.get(index)!)
    return served
  }

  #apply(operations: readonly StoreOperation[]): void {
    for (const operation of operations) {
      if (operation.op === 'meta') this.meta.set(operation.key, operation.value)
      else if (operation.op === 'slot') this.#putRow(operation)
      else if (operation.op === 'decidedThrough') this.decidedThrough = Math.max(this.decidedThrough, operation.index)
      else throw new Error('Paxos truncates nothing')
    }
    for (let index = 1; index <= this.decidedThrough; index++)
      if (!this.slots.has(index)) throw new Error(`decidedThrough ${this.decidedThrough} over a hole at ${index}`)
    this.oracle.onDurable(this.id, operations)
  }

  /** What was delivered here stays in its row for ever, whatever a later boot knows of it: others read it back. */
  #putRow(row: StoredSlot): void {
    const before = this.#rowsDelivered.get(row.index)
    if (before !== undefined && !bytesEqual(before, row.entry)) throw new Error(`${this.id} delivered index ${row.index} and overwrites it`)
    this.slots.set(row.index, row)
  }

  #onEffect(effect: Effect<PaxosMessage>): void {
    switch (effect.kind) {
      case 'persist':
        if (effect.token !== this.#lastToken + 1) throw new Error(`token ${effect.token} after ${this.#lastToken}`)
        this.#lastToken = effect.token
        this.writes.push(effect)
        for (const operation of effect.operations) if (operation.op === 'slot') this.#tokens.set(operation.index, effect.token)
        this.hooks.onPersist(this)
        return
      case 'send': {
        if (effect.to.includes(this.id) || effect.to.length === 0) throw new Error(`sends to ${effect.to.join()}`)
        const packets = effect.to.map((to) => ({ from: this.id, to, message: effect.message }))
        const after = effect.reveals === 'nothing' ? 0 : this.#lastToken
        if (after > this.#durable) this.#held.push({ after, packets })
        else this.#release(packets)
        return
      }
      case 'decide':
        this.oracle.onDecide(this.id, effect.index, effect.entry)
        if (effect.index > this.delivered) this.#decided.set(effect.index, effect.entry)
        return
      case 'settle':
        if (this.offers.get(effect.id) === 'open') this.offers.set(effect.id, effect.as)
        else if (effect.as !== 'refused' || !this.reads.delete(effect.id)) throw new Error(`${effect.id} was settled twice`)
        return
      case 'readAt': {
        const read = this.reads.get(effect.id)
        if (read === undefined || read.index !== undefined) throw new Error(`read ${effect.id} was answered twice`)
        this.oracle.onReadAt(effect.index, read.deliveredBefore)
        read.index = effect.index
        return
      }
      case 'role':
        this.role = effect
        return
      case 'fetch':
        this.hooks.onFetch(this, effect.from, effect.to, effect.peer)
        return
      case 'trace':
        this.traces.push(effect.event)
    }
  }

  #release(packets: readonly Packet[]): void {
    const scope = this.definition.mode === 'multi' ? 'suffix' : 'slot'
    for (const packet of packets) {
      this.oracle.onRelease(this.id, packet.message, scope)
      this.hooks.onPacket(packet)
    }
  }

  #deliver(): void {
    while (this.#decided.has(this.delivered + 1) && (this.#tokens.get(this.delivered + 1) ?? 0) <= this.#durable) {
      this.delivered++
      this.#rowsDelivered.set(this.delivered, this.slots.get(this.delivered)!.entry)
      this.#decided.delete(this.delivered)
    }
    this.oracle.deliveredHigh = Math.max(this.oracle.deliveredHigh, this.delivered)
  }
}
