/**
 * Records what cores do, in the words of the specification: it wraps a protocol, so that whatever drives it, the runtime on
 * memory disks or a simulator, is watched without knowing. Promises and votes are written down when the core hears that they
 * are durable, in the order in which it emitted them; a crash forgets those that the disk does not have.
 */
import { bytesEqual, type Bytes } from '@synod/codec'
import type { Effect, Input, Protocol, ProtocolDefinition, ProtocolOptions, Token } from '@synod/consensus'
import type { PaxosMessage } from '@synod/consensus-paxos'
import type { Index, RecoveredEpoch, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import {
  eventOfDecision,
  eventOfRestart,
  eventsOfMessage,
  eventsOfWrite,
  prefixOfMessage,
  type SpecificationEvent,
} from './specification-event.ts'

interface OutstandingWrite {
  readonly token: Token
  readonly operations: readonly StoreOperation[]
  /** Its own, and of the answers that wait for it. */
  readonly events: SpecificationEvent[]
}

export class TraceRecorder {
  readonly trace: SpecificationEvent[] = []
  readonly #outstanding = new Map<NodeId, OutstandingWrite[]>()
  readonly #lives = new Map<NodeId, number>()
  /** By node, the prefix that it last said is decided: what says no more is not written down again. */
  readonly #prefixes = new Map<NodeId, Index>()

  /** The same protocol, watched. One recorder watches the nodes of one cluster. */
  watch(definition: ProtocolDefinition<PaxosMessage>): ProtocolDefinition<PaxosMessage> {
    return { ...definition, open: (options) => this.#open(definition, options) }
  }

  #open(definition: ProtocolDefinition<PaxosMessage>, options: ProtocolOptions): Protocol<PaxosMessage> {
    const { self, members, recovered } = options
    const writes = this.#outstanding.get(self) ?? []
    for (const { events } of writes.slice(0, survivors(writes, recovered))) this.trace.push(...events)
    this.#outstanding.set(self, [])
    const life = (this.#lives.get(self) ?? 0) + 1
    this.#lives.set(self, life)
    this.#prefixes.set(self, 0)
    this.trace.push(eventOfRestart(self, recovered, members))
    const core = definition.open(options)
    return new WatchedProtocol(core, {
      before: (input) => {
        if (this.#lives.get(self) === life && input.kind === 'durable') this.#onDurable(self, input.token)
      },
      after: (effects) => {
        if (this.#lives.get(self) === life) for (const effect of effects) this.#onEffect(self, effect, members)
      },
    })
  }

  /** Its machine has this slot. */
  onApplied(node: NodeId, index: Index): void {
    this.trace.push({ kind: 'applied', node, index })
  }

  #onDurable(node: NodeId, token: Token): void {
    const writes = this.#outstanding.get(node)!
    while (writes[0] !== undefined && writes[0].token <= token) this.trace.push(...writes.shift()!.events)
  }

  #onEffect(node: NodeId, effect: Effect<PaxosMessage>, members: readonly NodeId[]): void {
    const writes = this.#outstanding.get(node)!
    if (effect.kind === 'persist') {
      const { token, operations } = effect
      writes.push({ token, operations, events: eventsOfWrite(node, operations, members) })
    } else if (effect.kind === 'send') {
      const events = effect.reveals === 'nothing' ? this.trace : (writes.at(-1)?.events ?? this.trace)
      events.push(...eventsOfMessage(node, effect.message))
      this.#onPrefix(node, prefixOfMessage(effect.message))
    } else if (effect.kind === 'decide') {
      this.trace.push(eventOfDecision(node, effect))
    }
  }

  /** Knowing that something is decided waits for no write. */
  #onPrefix(node: NodeId, through: Index): void {
    if (through <= (this.#prefixes.get(node) ?? 0)) return
    this.#prefixes.set(node, through)
    this.trace.push({ kind: 'saysDecided', node, through })
  }
}

/**
 * How many of these writes the disk has: it keeps the first so many. The last word of them on each slot, and on each promise, is
 * then what it holds. How far it knows decisions is no evidence: that may have been written before.
 */
function survivors(writes: readonly OutstandingWrite[], recovered: RecoveredEpoch): number {
  for (let count = writes.length; count > 0; count--) {
    const last = new Map<Index | string, StoreOperation>()
    for (const { operations } of writes.slice(0, count)) {
      for (const operation of operations) {
        if (operation.op === 'slot') last.set(operation.index, operation)
        else if (operation.op === 'meta') last.set(operation.key, operation)
        else if (operation.op === 'decidedThrough') last.set('decidedThrough', operation)
      }
    }
    if ([...last.values()].every((operation) => isHeld(operation, recovered))) return count
  }
  return 0
}

/** The disk holds this, or for a decided slot may have held it. */
function isHeld(operation: StoreOperation, recovered: RecoveredEpoch): boolean {
  const isSame = (left: Bytes | undefined, right: Bytes): boolean => left !== undefined && bytesEqual(left, right)
  if (operation.op === 'meta') return isSame(recovered.meta.get(operation.key), operation.value)
  if (operation.op === 'decidedThrough') return operation.index <= recovered.decidedThrough
  if (operation.op !== 'slot') return true
  const slot = recovered.window.find(({ index }) => index === operation.index)
  if (slot === undefined) return operation.index <= recovered.decidedThrough
  return isSame(slot.header, operation.header) && isSame(slot.entry, operation.entry)
}

interface Watch {
  before(input: Input<PaxosMessage>): void
  after(effects: readonly Effect<PaxosMessage>[]): void
}

class WatchedProtocol implements Protocol<PaxosMessage> {
  readonly #core: Protocol<PaxosMessage>
  readonly #watch: Watch

  constructor(core: Protocol<PaxosMessage>, watch: Watch) {
    this.#core = core
    this.#watch = watch
  }

  step(input: Input<PaxosMessage>): readonly Effect<PaxosMessage>[] {
    this.#watch.before(input)
    const effects = this.#core.step(input)
    this.#watch.after(effects)
    return effects
  }

  /** The copy is not watched: only one of two futures is written down. */
  fork(): Protocol<PaxosMessage> {
    return this.#core.fork()
  }

  digest(rename?: (node: NodeId) => NodeId): string {
    return this.#core.digest(rename)
  }

  get decidedHigh(): number {
    return this.#core.decidedHigh
  }

  get codec(): Protocol<PaxosMessage>['codec'] {
    return this.#core.codec
  }
}
