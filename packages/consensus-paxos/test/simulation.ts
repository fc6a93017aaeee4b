/** Virtual time, a network and disks that misbehave by a seed. Everything that happens follows from the seed. */
import { protocol, type PaxosMessage } from '@synod/consensus-paxos'
import type { Protocol } from '@synod/consensus'
import { LabNode, type Packet } from './lab-node.ts'
import { Oracle } from './oracle.ts'

export interface Faults {
  /** Probabilities of a packet. */
  readonly loss: number
  readonly duplicate: number
  readonly delayMs: number
  /** Probabilities of a node in each 100 ms. */
  readonly crash: number
  readonly diskStall: number
  /** Of each direction of each link in each 100 ms. */
  readonly cut: number
  /** That the node that leads, or else the first, is cut off from all, in each 100 ms. */
  readonly isolate: number
}

export const calm: Faults = { loss: 0, duplicate: 0, delayMs: 2, crash: 0, diskStall: 0, cut: 0, isolate: 0 }

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export function seeded(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
  }
}

const tickMs = 25

export class Simulation {
  readonly random: () => number
  readonly nodes = new Map<string, LabNode>()
  readonly oracle: Oracle
  faults: Faults = calm
  /** `from>to` of links that carry nothing. */
  readonly cuts = new Set<string>()
  readonly stalled = new Set<string>()
  now = 0
  /** Packets that are lost on purpose. */
  drop: (packet: Packet) => boolean = () => false
  #isolated: string | undefined
  #events: Event[] = []
  #order = 0
  readonly #skew = new Map<string, number>()

  constructor(seed: number, options: unknown, count = 3) {
    this.random = seeded(seed)
    const definition = protocol(options)
    const members = Array.from({ length: count }, (_, at) => `n${at + 1}`)
    this.oracle = new Oracle(definition.quorums(members))
    const hooks = {
      onPacket: (packet: Packet): void => this.#onPacket(packet),
      onPersist: (node: LabNode): void => this.#sync(node),
      onFetch: (node: LabNode, from: number, to: number, peer: string | undefined): void => this.#fetch(node, from, to, peer),
    }
    for (const id of members) {
      const node = new LabNode(id, definition, members, this.oracle, hooks)
      node.seed = Math.floor(this.random() * 2 ** 31)
      this.nodes.set(id, node)
      this.#skew.set(id, Math.floor(this.random() * 1e6))
      this.start(id)
    }
  }

  node(id: string): LabNode {
    return this.nodes.get(id)!
  }

  get up(): LabNode[] {
    return [...this.nodes.values()].filter((node) => node.core !== undefined)
  }

  get leader(): LabNode | undefined {
    return this.up.findLast((node) => node.role?.role === 'leader')
  }

  start(id: string): void {
    const { core } = this.node(id).open()
    this.#tick(id, core)
  }

  crash(id: string): void {
    const node = this.node(id)
    node.crash(Math.floor(this.random() * (node.writes.length + 1)))
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.now + ms, order: this.#order++, run }
    let at = this.#events.push(event) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!isEarlier(event, this.#events[up]!)) break
      this.#events[at] = this.#events[up]!
      at = up
    }
    this.#events[at] = event
  }

  /** Until the time is up or the condition holds; true when it does. */
  run(ms: number, until: () => boolean = () => false): boolean {
    const end = this.now + ms
    while (this.#events.length > 0 && this.#events[0]!.at <= end) {
      if (until()) return true
      const event = this.#pop()
      this.now = event.at
      event.run()
    }
    this.now = end
    return until()
  }

  /** Faults come and go. */
  chaos(): void {
    const { faults, random } = this
    this.#isolate()
    for (const node of this.nodes.values()) {
      if (node.core !== undefined && random() < faults.crash) this.crash(node.id)
      else if (node.core === undefined && random() < 0.3) this.start(node.id)
      if (random() < 0.2) this.unstall(node.id)
      if (random() < faults.diskStall) this.stalled.add(node.id)
      for (const other of this.nodes.keys()) {
        if (random() < (this.#isolated === undefined ? 0.2 : 0.02)) this.cuts.delete(`${node.id}>${other}`)
        if (random() < faults.cut) this.cuts.add(`${node.id}>${other}`)
      }
    }
  }

  #isolate(): void {
    const { random } = this
    if (this.#isolated !== undefined && random() < 0.08) this.#isolated = undefined
    if (this.#isolated !== undefined || random() >= this.faults.isolate) return
    this.#isolated = this.leader?.id ?? 'n1'
    for (const id of this.nodes.keys()) this.cut(this.#isolated, id)
  }

  unstall(id: string): void {
    if (this.stalled.delete(id)) this.#sync(this.node(id))
  }

  /** The faults stop and everybody is up. */
  heal(): void {
    this.faults = calm
    this.cuts.clear()
    for (const id of this.nodes.keys()) {
      this.unstall(id)
      if (this.node(id).core === undefined) this.start(id)
    }
  }

  cut(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`)
    this.cuts.add(`${to}>${from}`)
  }

  #tick(id: string, core: Protocol<PaxosMessage> | undefined): void {
    const node = this.node(id)
    if (node.core !== core || core === undefined) return
    node.step({ kind: 'tick', now: this.now + this.#skew.get(id)! })
    this.after(tickMs * (0.8 + this.random() * 0.4), () => this.#tick(id, core))
  }

  #onPacket(packet: Packet): void {
    const { faults, random } = this
    if (this.drop(packet) || this.cuts.has(`${packet.from}>${packet.to}`) || random() < faults.loss) return
    const codec = this.node(packet.from).running.codec
    const bytes = codec.encode(packet.message)
    do {
      // Some are very late: they outlive elections.
      const late = random() < faults.duplicate * 0.2 ? 3_000 : 0
      this.after(0.2 + random() * (faults.delayMs + late), () => {
        const receiver = this.node(packet.to)
        if (receiver.core !== undefined) receiver.step({ kind: 'message', from: packet.from, message: receiver.core.codec.decode(bytes) })
      })
    } while (random() < faults.duplicate)
  }

  #sync(node: LabNode): void {
    const { core } = node
    const last = node.writes.at(-1)?.token ?? 0
    this.after(0.1 + this.random() * 3, () => {
      if (node.core !== core || this.stalled.has(node.id)) return
      node.sync(node.writes.filter(({ token }) => token <= last).length)
    })
  }

  #fetch(node: LabNode, from: number, to: number, peer: string | undefined): void {
    const { core } = node
    const others = this.up.map(({ id: other }) => other).filter((other) => other !== node.id)
    const id = peer ?? others[Math.floor(this.random() * others.length)]
    if (id === undefined || this.cuts.has(`${id}>${node.id}`) || this.cuts.has(`${node.id}>${id}`)) return
    this.after(1 + this.random() * 5, () => {
      if (node.core !== core || core === undefined || this.node(id).core === undefined) return
      const served = this.node(id).serve(from, Math.min(to, from + 63))
      for (const slot of served) node.step({ kind: 'learn', ...slot })
      if (served.length > 0 && from + served.length <= to) this.#fetch(node, from + served.length, to, id)
    })
  }

  #pop(): Event {
    const [first] = this.#events
    const last = this.#events.pop()!
    const { length } = this.#events
    if (length > 0) {
      let at = 0
      for (;;) {
        let child = at * 2 + 1
        if (child >= length) break
        if (child + 1 < length && isEarlier(this.#events[child + 1]!, this.#events[child]!)) child++
        if (!isEarlier(this.#events[child]!, last)) break
        this.#events[at] = this.#events[child]!
        at = child
      }
      this.#events[at] = last
    }
    return first!
  }
}

function isEarlier(left: Event, right: Event): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order)
}
