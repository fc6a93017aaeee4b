import { expect } from 'vitest'
import type { NodeId } from '../node-id.ts'
import { TransportError, type Transport } from '../transport.ts'
import type { Inbox } from './inbox.ts'
import type { TransportConformance, TransportWorld } from './transport-world.ts'

/** A world under test: opens its nodes, and closes everything at the end. */
export class Cluster {
  readonly #world: TransportWorld
  readonly #open = new Set<Transport>()
  readonly reachedMsMax: number

  private constructor(world: TransportWorld, reachedMsMax: number) {
    this.#world = world
    this.reachedMsMax = reachedMsMax
  }

  static async create(subject: TransportConformance, members: readonly NodeId[]): Promise<Cluster> {
    return new Cluster(await subject.create(members), subject.reachedMsMax ?? 10_000)
  }

  get spareAddress(): string {
    return this.#world.spareAddress
  }

  get addresses(): ReadonlyMap<NodeId, string> {
    return this.#world.addresses
  }

  /** Opens a member; `moved` puts nodes at other addresses, as this one sees it. */
  async open(self: NodeId, moved: Readonly<Record<NodeId, string>> = {}, options?: unknown): Promise<Transport> {
    const addresses = new Map([...this.addresses, ...Object.entries(moved)])
    const transport = await this.#world.factory.open({ self, addresses, options: options === undefined ? this.#world.options : options })
    this.#open.add(transport)
    return transport
  }

  /** The code with which opening is refused. */
  async refusal(self: NodeId, moved: Readonly<Record<NodeId, string>>, options?: unknown): Promise<TransportError> {
    const outcome = await this.open(self, moved, options).catch((error: unknown) => error)
    expect(outcome).toBeInstanceOf(TransportError)
    return outcome as TransportError
  }

  /** Sends a frame of its own kind until it arrives: afterwards the link from one to the other is up. */
  async connect(sender: Transport, to: NodeId, inbox: Inbox): Promise<void> {
    const token = new TextEncoder().encode(`connect ${crypto.randomUUID()}`)
    const is = ({ frame }: { frame: Uint8Array }) => Buffer.from(frame).equals(token)
    await inbox.first(is, () => sender.send(to, token), this.reachedMsMax)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((transport) => transport.close()))
    await this.#world.close?.()
  }
}

/** Frames dropped, for whatever reason. */
export function dropped(transport: Transport): number {
  return Object.entries(transport.counters())
    .filter(([name]) => name.startsWith('dropped'))
    .reduce((sum, [, count]) => sum + count, 0)
}

export function counter(transport: Transport, name: string): number {
  return transport.counters()[name] ?? 0
}
