/**
 * The runtime: hosts a pure protocol core as a loglet. Inputs are stepped as they come; what they cause is collected for
 * the rest of the turn of the event loop and then goes out together: one write to the store, one frame to each peer.
 *
 * The order that makes consensus correct is kept here and nowhere else: a send waits until every persist that the core
 * emitted before it is durable, unless it reveals nothing; a decision is delivered when its own slot is durable here and
 * everything before it was delivered.
 */
import {
  noopEntry,
  LogError,
  type Capabilities,
  type DecidedEntry,
  type Index,
  type Loglet,
  type LogletOptions,
  type LogletStatus,
  type StoreOperation,
} from '@synod/log'
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import { CatchUp } from './catch-up.ts'
import { Delivery } from './delivery.ts'
import { Outbox } from './outbox.ts'
import { decodeBatch } from './message-batch.ts'
import type { Effect, Input, Protocol, ProtocolDefinition, Token } from './protocol.ts'

const tickMs = 20
const stepDownMs = 1000
const messageChannel = 1

export class HostedLoglet<M> implements Loglet {
  readonly capabilities: Capabilities
  readonly #options: LogletOptions
  readonly #core: Protocol<M>
  readonly #outbox: Outbox
  readonly #delivery: Delivery
  readonly #catchUp: CatchUp
  readonly #offers = new Map<number, (as: 'offered' | 'refused' | 'abandoned') => void>()
  readonly #barriers = new Map<number, { readonly resolve: (index: Index) => void; readonly reject: (error: Error) => void }>()
  readonly #listeners: (() => void)[] = []
  readonly #counters = { persists: 0, writes: 0, messagesIn: 0, malformed: 0, elections: 0 }
  /** How often the core told of each kind of event. */
  readonly #traced = new Map<string, number>()
  #operations: StoreOperation[] = []
  #lastToken: Token = 0
  #durableToken: Token = 0
  #turnScheduled = false
  #nextId = 0
  #status: LogletStatus = { role: 'follower', available: false, decidedHigh: 0 }
  #cancelTick: () => void = () => {}
  /** Who waits in `stepDown`. */
  #onNewLeader: () => void = () => {}
  #outstanding = new Set<Promise<void>>()
  #closed = false

  constructor(definition: ProtocolDefinition<M>, options: LogletOptions) {
    this.#options = options
    this.capabilities = definition.capabilities
    const members = options.configuration.voters.map(({ node }) => node)
    const quorums = definition.quorums(members)
    quorums.check()
    this.#core = definition.open({
      self: options.self,
      epoch: options.configuration.epoch,
      boot: options.boot,
      members,
      quorums,
      recovered: options.recovered,
      seed: options.seed,
      noop: noopEntry,
    })
    this.#outbox = new Outbox((to, body) => options.network.send(to, messageChannel, body))
    this.#delivery = new Delivery(options.store, options.configuration.epoch, options.recovered.decidedThrough)
    this.#catchUp = new CatchUp({
      peers: members.filter((node) => node !== options.self),
      network: options.network,
      scheduler: options.scheduler,
      delivery: this.#delivery,
      learn: (entry) => this.#step({ kind: 'learn', ...entry }),
      lastToken: () => this.#lastToken,
    })
    options.network.on(messageChannel, (from, body) => this.#onMessages(from, body))
    // Not at once: whoever opens this is still being built itself.
    options.scheduler.defer(() => this.#tick())
  }

  offer(entry: Bytes): Promise<'offered' | 'refused' | 'abandoned'> {
    if (this.#closed) return Promise.resolve('refused')
    const id = ++this.#nextId
    return new Promise((resolve) => {
      this.#offers.set(id, resolve)
      this.#step({ kind: 'offer', id, entry })
    })
  }

  barrier(): Promise<Index> {
    if (this.#closed) return Promise.reject(closedError())
    const id = ++this.#nextId
    return new Promise((resolve, reject) => {
      this.#barriers.set(id, { resolve, reject })
      this.#step({ kind: 'barrier', id })
    })
  }

  decided(from: Index): AsyncIterable<readonly DecidedEntry[]> {
    return this.#delivery.read(from)
  }

  status(): LogletStatus {
    // Asked for with every append, and new with every slot.
    const { decidedHigh } = this.#core
    if (this.#status.decidedHigh !== decidedHigh) this.#status = { ...this.#status, decidedHigh }
    return this.#status
  }

  onStatus(listener: () => void): void {
    this.#listeners.push(listener)
  }

  async stepDown(): Promise<void> {
    const { self, scheduler } = this.#options
    if (this.#closed || this.#status.leader !== self) return
    await new Promise<void>((resolve) => {
      const cancel = scheduler.at(scheduler.now() + stepDownMs, resolve)
      this.#onNewLeader = () => {
        cancel()
        resolve()
      }
      this.#step({ kind: 'stepDown' })
    })
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#counters,
      ...this.#outbox.counters(),
      ...this.#catchUp.counters(),
      ...Object.fromEntries([...this.#traced].map(([event, count]) => [`core_${event}`, count])),
      offers: this.#offers.size,
      barriers: this.#barriers.size,
    }
  }

  async close(): Promise<void> {
    this.#stop()
    await Promise.allSettled(this.#outstanding)
  }

  #stop(): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTick()
    this.#catchUp.close()
    this.#delivery.close()
    for (const settle of this.#offers.values()) settle('abandoned')
    this.#offers.clear()
    for (const { reject } of this.#barriers.values()) reject(closedError())
    this.#barriers.clear()
  }

  #tick(): void {
    if (this.#closed) return
    const { scheduler } = this.#options
    this.#step({ kind: 'tick', now: scheduler.now() })
    this.#catchUp.onTick()
    if (!this.#closed) this.#cancelTick = scheduler.at(scheduler.now() + tickMs, () => this.#tick())
  }

  #onMessages(from: NodeId, body: Bytes): void {
    this.#catchUp.onHeard(from)
    const batch = decodeBatch(body)
    if (batch === undefined) {
      this.#counters.malformed++
      return
    }
    for (const bytes of batch) {
      let message: M
      try {
        message = this.#core.codec.decode(bytes)
      } catch {
        // What a peer sends and this build cannot read is lost, as a frame may always be.
        this.#counters.malformed++
        continue
      }
      this.#counters.messagesIn++
      this.#step({ kind: 'message', from, message })
    }
  }

  /** An error in the core is a broken invariant: nothing that it caused in this turn leaves the node. */
  #step(input: Input<M>): void {
    if (this.#closed) return
    try {
      for (const effect of this.#core.step(input)) this.#onEffect(effect)
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#scheduleTurn()
  }

  #onEffect(effect: Effect<M>): void {
    switch (effect.kind) {
      case 'persist':
        this.#counters.persists++
        this.#lastToken = effect.token
        this.#operations.push(...effect.operations)
        this.#delivery.onPersist(effect.token, effect.operations)
        return
      case 'send':
        this.#outbox.add(effect.to, this.#core.codec.encode(effect.message), effect.reveals === 'nothing' ? 0 : this.#lastToken)
        return
      case 'decide':
        this.#delivery.onDecide({ index: effect.index, header: effect.header, entry: effect.entry })
        return
      case 'settle':
        this.#onSettle(effect.id, effect.as)
        return
      case 'readAt':
        this.#barriers.get(effect.id)?.resolve(effect.index)
        this.#barriers.delete(effect.id)
        return
      case 'role':
        if (effect.role === 'candidate') this.#counters.elections++
        this.#status = {
          role: effect.role,
          available: effect.available,
          decidedHigh: this.#core.decidedHigh,
          ...(effect.leader === undefined ? {} : { leader: effect.leader }),
          ...(effect.why === undefined ? {} : { why: effect.why }),
        }
        if (effect.leader !== undefined && effect.leader !== this.#options.self) this.#onNewLeader()
        for (const listener of this.#listeners) listener()
        return
      case 'fetch':
        this.#catchUp.fetch(effect.from, effect.to, effect.peer)
        return
      case 'trace':
        this.#traced.set(effect.event, (this.#traced.get(effect.event) ?? 0) + 1)
        return
    }
  }

  #onSettle(id: number, as: 'offered' | 'refused' | 'abandoned'): void {
    this.#offers.get(id)?.(as)
    this.#offers.delete(id)
    this.#barriers.get(id)?.reject(new LogError('unavailable', 'no quorum confirmed the read'))
    this.#barriers.delete(id)
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled) return
    this.#turnScheduled = true
    this.#options.scheduler.defer(() => {
      this.#turnScheduled = false
      this.#endTurn()
    })
  }

  #endTurn(): void {
    if (this.#closed) return
    if (this.#operations.length > 0) this.#write()
    this.#outbox.release(this.#durableToken)
    this.#delivery.release(this.#durableToken)
    this.#catchUp.onDurable(this.#durableToken)
  }

  #write(): void {
    const operations = this.#operations
    const token = this.#lastToken
    this.#operations = []
    this.#counters.writes++
    const write = this.#options.store.write(operations).then(
      () => {
        if (this.#closed) return
        this.#durableToken = Math.max(this.#durableToken, token)
        this.#step({ kind: 'durable', token })
      },
      (error: unknown) => this.#fail(error),
    )
    this.#outstanding.add(write)
    void write.finally(() => this.#outstanding.delete(write))
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.#stop()
    this.#options.onFailure(error instanceof Error ? error : new Error(String(error)))
  }
}

function closedError(): LogError {
  return new LogError('closed', 'the log was closed')
}
