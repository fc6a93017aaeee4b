/** Nodes on a table: nothing moves but by hand. For scenarios that are told packet by packet. */
import { protocol, type PaxosMessage } from '@synod/consensus-paxos'
import { LabNode, type Packet } from './lab-node.ts'
import { Oracle } from './oracle.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const value = (name: string): Uint8Array => encoder.encode(name)
export const name = (entry: Uint8Array): string => decoder.decode(entry)

export class Lab {
  readonly nodes = new Map<string, LabNode>()
  readonly oracle: Oracle
  readonly fetches: { by: string; from: number; to: number; peer: string | undefined }[] = []
  pool: Packet[] = []
  now = 1_000

  constructor(options: unknown, members: readonly string[] = ['n1', 'n2', 'n3'], prefix = 0) {
    const definition = protocol(options)
    this.oracle = new Oracle(definition.quorums(members))
    for (const id of members) {
      const node = new LabNode(id, definition, members, this.oracle, {
        onPacket: (packet) => this.pool.push(packet),
        onPersist: () => {},
        onFetch: (by, from, to, peer) => this.fetches.push({ by: by.id, from, to, peer }),
      })
      for (let index = 1; index <= prefix; index++)
        node.slots.set(index, { index, header: new Uint8Array([1, 1, ...Array<number>(16).fill(0)]), entry: value(`v${index}`) })
      node.decidedThrough = prefix
      this.nodes.set(id, node.open())
    }
    this.tick(0)
  }

  node(id: string): LabNode {
    return this.nodes.get(id)!
  }

  /** All of those named, or all that run. */
  tick(ms: number, ids: readonly string[] = [...this.nodes.keys()]): void {
    this.now += ms
    for (const id of ids) if (this.node(id).core !== undefined) this.node(id).step({ kind: 'tick', now: this.now })
  }

  sync(): void {
    for (const node of this.nodes.values()) if (node.core !== undefined) node.sync()
  }

  /** Syncs and delivers what passes, until nothing does; what does not pass stays in the pool. */
  flow(passes: (packet: Packet) => boolean = () => true): void {
    for (;;) {
      this.sync()
      const due = this.pool.filter(passes)
      if (due.length === 0) return
      this.pool = this.pool.filter((packet) => !passes(packet))
      for (const packet of due) this.deliver(packet)
    }
  }

  /** What was asked for is handed in, as far as the peer has it. */
  serve(): void {
    for (const { by, from, to, peer } of this.fetches.splice(0)) {
      const [any] = [...this.nodes.keys()].filter((id) => id !== by)
      for (const slot of this.node(peer ?? any!).serve(from, to)) this.node(by).step({ kind: 'learn', ...slot })
    }
  }

  deliver({ from, to, message }: Packet): void {
    if (this.node(to).core !== undefined) this.node(to).step({ kind: 'message', from, message })
  }

  inject(from: string, to: string, message: PaxosMessage): void {
    this.deliver({ from, to, message })
  }

  /** Packets in the pool of one kind. */
  packets<K extends PaxosMessage['kind']>(kind: K): { from: string; to: string; message: Extract<PaxosMessage, { kind: K }> }[] {
    return this.pool.flatMap(({ from, to, message }) => (isOf(message, kind) ? [{ from, to, message }] : []))
  }

  /** This one stands until it leads; others see it through. */
  elect(id: string, passes: (packet: Packet) => boolean = () => true): void {
    for (let turn = 0; turn < 200 && this.node(id).role?.role !== 'leader'; turn++) {
      this.tick(20, [id])
      this.flow(passes)
    }
    if (this.node(id).role?.role !== 'leader') throw new Error(`${id} does not lead`)
  }

  decided(index: number): string | undefined {
    const hex = this.oracle.decided.get(index)
    return hex === undefined ? undefined : name(Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
  }
}

function isOf<K extends PaxosMessage['kind']>(message: PaxosMessage, kind: K): message is Extract<PaxosMessage, { kind: K }> {
  return message.kind === kind
}
