/**
 * The one implementation of OrderedLog: what is above a single protocol. A loglet orders opaque entries; here they become
 * commands that are executed at most once, in order, on every node alike: proposals are batched and offered until they are
 * seen applied (proposals.ts), entries are applied in order (applier.ts), the session table drops what was executed before
 * (session-table.ts), reads share barriers (reads.ts). One epoch so far: slot and index are the same number.
 *
 * A slot is applied when its entry is decided, is durable in this node's own store, and every slot before it is applied.
 */
import { ByteWriter, bytesToHex, type Bytes } from '@synod/codec'
import type { Scheduler } from '@synod/transport'
import type { Configuration, Genesis } from './configuration.ts'
import { principalBytesMax } from './entry-codec.ts'
import type { Envelope } from './envelope.ts'
import type { LogState } from './log-state.ts'
import { StoreError, type LogStore, type Recovered, type RecoveredEpoch } from './log-store.ts'
import type { Capabilities, Loglet, LogletFactory } from './loglet.ts'
import { LogError, type LogSpace, type LogStatus, type OrderedLog, type Outcome, type SlotSlice } from './ordered-log.ts'
import { PeerNetwork } from './peer-network.ts'
import { AbsentLog } from './absent-log.ts'
import { Applier, recoverState, type AppliedEntry } from './applier.ts'
import { Proposals } from './proposals.ts'
import { Reads } from './reads.ts'
import { refuseReclaimed } from './refuse-reclaimed.ts'
import type { Slot } from './slot.ts'
import { SlotWaiters } from './slot-waiters.ts'
import type { StateMachine } from './state-machine.ts'
import { virtualLogLimits } from './virtual-log-limits.ts'
import type { VirtualLogLimits, VirtualLogOptions } from './virtual-log-options.ts'

/** An election may take this long before callers are told at once that there is no quorum. */
const graceMs = 3000
/** Slots between what is known decided and what is applied, above which a node calls itself behind. */
const behindSlots = 256
const serving = { state: 'serving' } as const

/**
 * Opens the store, the machine and the loglet that the configuration names, and begins to apply. Closing the log closes
 * all of them, and the transport. A store that is empty, or somebody else's, gives a log that takes no part and says why.
 * Rejects with a StoreError, or with a LogError when the saved state is a newer build's or was saved under other bounds.
 */
export async function openVirtualLog<O>(options: VirtualLogOptions<O>): Promise<OrderedLog<O>> {
  const recovered = await openStore(options)
  if (recovered instanceof StoreError) return new AbsentLog(options, 'foreign', recovered.message)
  const { genesis } = recovered
  if (genesis === undefined) {
    const why = `the store of ${options.self} is empty: it was wiped, or belongs to no cluster yet. It takes no part, because it may have promised what it no longer knows. Restore its database, or replace the node.`
    return new AbsentLog(options, 'wiped', why)
  }
  const { protocol, protocolOptions } = genesis.configuration
  const factory = await options.loadLoglet(protocol, protocolOptions)
  const limits = { ...virtualLogLimits, ...options.limits }
  const flushed = await options.machine.open()
  const state = recoverState(recovered, flushed, limits, options.machine)
  refuseReclaimed(options.self, recovered, genesis.configuration.epoch, state.slot, flushed)
  return new VirtualLog(options, limits, genesis, recovered, factory, state)
}

async function openStore<O>({ store, self, cluster }: VirtualLogOptions<O>): Promise<Recovered | StoreError> {
  try {
    return await store.open(self, cluster)
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'wrong_node' || error.code === 'wrong_cluster')) return error
    throw error
  }
}

class VirtualLog<O> implements OrderedLog<O> {
  readonly capabilities: Capabilities
  readonly space: LogSpace
  readonly #scheduler: Scheduler
  readonly #configuration: Configuration
  readonly #options: VirtualLogOptions<O>
  readonly #store: LogStore
  readonly #machine: StateMachine<O>
  readonly #factory: LogletFactory
  readonly #network: PeerNetwork
  readonly #loglet: Loglet
  readonly #proposals: Proposals<O | undefined>
  readonly #reads: Reads
  readonly #state: LogState<O>
  readonly #waiters: SlotWaiters
  readonly #listeners: (() => void)[] = []
  readonly #applier: Applier<O>
  readonly #applying: Promise<void>
  readonly #nonce: Bytes
  #opened = 0
  #unavailableSince: number
  #failure: Error | undefined
  #closing: Promise<void> | undefined

  constructor(
    options: VirtualLogOptions<O>,
    limits: VirtualLogLimits,
    genesis: Genesis,
    recovered: Recovered,
    factory: LogletFactory,
    state: LogState<O>,
  ) {
    this.#options = options
    this.#scheduler = options.scheduler
    this.#configuration = genesis.configuration
    this.#store = options.store
    this.#machine = options.machine
    this.#factory = factory
    this.#state = state
    this.#waiters = new SlotWaiters(state.slot)
    this.#nonce = new ByteWriter().string(options.self).u53(recovered.boot).u53(options.nonce).finish()
    // A node that just started says at once that it is not ready: nobody is waiting for an election yet.
    this.#unavailableSince = -Infinity
    const { epoch } = genesis.configuration
    const fail = (error: Error): void => this.#fail(error)
    this.#network = new PeerNetwork({
      transport: options.transport,
      self: options.self,
      incarnation: genesis.incarnation,
      boot: recovered.boot,
      nonce: options.nonce,
      configuration: genesis.configuration,
      assemblyBytesMax: limits.assemblyBytesMax,
      onDoppelganger: fail,
    })
    this.#loglet = factory.open({
      self: options.self,
      configuration: genesis.configuration,
      store: options.store,
      boot: recovered.boot,
      recovered: decidedAtLeast(
        recovered.epochs.find((known) => known.epoch === epoch) ?? { epoch, meta: new Map(), decidedThrough: 0, window: [] },
        options.machine.flushed(),
      ),
      network: this.#network,
      scheduler: options.scheduler,
      seed: options.nonce,
      onFailure: fail,
    })
    this.capabilities = factory.capabilities
    this.#proposals = new Proposals(limits, options.scheduler, this.#loglet, options.onBatch)
    this.#reads = new Reads(
      options.scheduler,
      () => this.#loglet.barrier(),
      () => this.#refusal(),
      limits.readsMax,
    )
    this.#loglet.onStatus(() => this.#onLogletStatus())
    this.#onLogletStatus()
    const { self, store, machine, scheduler } = options
    this.#applier = new Applier({
      self,
      epoch,
      store,
      machine,
      scheduler,
      limits,
      state,
      onApplied: (command, outcome) => this.#proposals.onApplied(command, outcome),
      onAdvance: (slot) => this.#waiters.advance(slot),
      onFailure: (error) => this.#fail(asError(error)),
    })
    this.space = {
      unneededThrough: () => this.#applier.savedSlot,
      pieces: (through) => store.pieces(epoch, through),
      reclaim: (piece, keep) => {
        const saved = this.#applier.savedSlot
        if (piece.to > saved)
          return Promise.reject(
            new RangeError(`slots up to ${piece.to} cannot be reclaimed: a start reads again what comes after ${saved}`),
          )
        return store.reclaim(epoch, piece, keep)
      },
    }
    this.#applying = this.#applier.run(this.#loglet).catch((error: unknown) => this.#fail(asError(error)))
  }

  propose(command: Envelope, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Outcome<O>> {
    if (command.session === 0) throw new RangeError('session 0 is for openings: call openSession')
    if (command.principal !== '' && Buffer.byteLength(command.principal) > principalBytesMax)
      throw new RangeError(`a principal has at most ${principalBytesMax} bytes`)
    if (this.#refusal() !== undefined) return Promise.resolve({ fate: 'never', why: 'notServing' })
    if (!this.#machine.accepting()) return Promise.resolve({ fate: 'never', why: 'busy' })
    // Only an opening is answered with nothing, and it has session 0.
    return this.#proposals.propose(command, signal) as Promise<Outcome<O>>
  }

  openSession({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Outcome<undefined>> {
    if (this.#refusal() !== undefined) return Promise.resolve({ fate: 'never', why: 'notServing' })
    const body = new ByteWriter()
      .raw(this.#nonce)
      .u53(++this.#opened)
      .finish()
    return this.#proposals.propose({ version: 1, session: 0, sequence: 1, floor: 1, principal: '', body, blobs: [] }, signal) as Promise<
      Outcome<undefined>
    >
  }

  async read({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Slot> {
    const why = this.#refusal()
    if (why !== undefined) throw new LogError('unavailable', why)
    const slot = await this.#reads.read(signal)
    await this.#waiters.reached(slot, signal)
    return slot
  }

  entries(from: Slot, to = Number.MAX_SAFE_INTEGER): AsyncIterable<AppliedEntry> {
    return this.#applier.entries(Math.max(1, from), to)
  }

  slices(requests: readonly SlotSlice[]): Promise<(Bytes | undefined)[]> {
    const { epoch } = this.#configuration
    return this.#store.slices(requests.map(({ slot, offset, length }) => ({ epoch, index: slot, offset, length })))
  }

  status(): LogStatus {
    const { role, leader, decidedHigh } = this.#loglet.status()
    const { slot, hash } = this.#state
    return {
      epoch: this.#configuration.epoch,
      protocol: this.#configuration.protocol,
      mode: this.#factory.mode,
      role,
      decided: Math.max(decidedHigh, slot),
      applied: slot,
      hash: bytesToHex(hash),
      ...this.#health(),
      ...(leader === undefined ? {} : { leader }),
    }
  }

  onStatus(listener: () => void): void {
    this.#listeners.push(listener)
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#proposals.counters(),
      ...this.#reads.counters(),
      ...this.#network.counters(),
      ...this.#loglet.counters(),
      sessions: this.#state.sessions.size,
    }
  }

  stepDown(): Promise<void> {
    return this.#loglet.stepDown()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#proposals.close()
    this.#waiters.close(new LogError('closed', 'the log was closed'))
    await this.#loglet.close()
    await this.#options.transport.close()
    await this.#applying
    await this.#applier.saved()
    // A machine that could not sync is applied to again from the state that was saved last.
    const isSynced = await this.#machine.close().then(
      () => true,
      () => false,
    )
    if (this.#failure === undefined && isSynced) await this.#applier.saveAll()
    await this.#store.close()
  }

  /** Why a command or a read should not even be tried now; undefined when it may be. */
  #refusal(): string | undefined {
    const { state, why } = this.#health()
    return state === 'serving' ? undefined : (why ?? state)
  }

  #health(): Pick<LogStatus, 'state' | 'why'> {
    if (this.#failure !== undefined) return { state: 'stopped', why: this.#failure.message }
    if (this.#closing !== undefined) return { state: 'stopped', why: 'it is shutting down' }
    const { available, why, decidedHigh } = this.#loglet.status()
    if (!available && this.#scheduler.now() - this.#unavailableSince >= graceMs)
      return { state: 'unavailable', why: why ?? 'no quorum of the cluster answers this node' }
    const behind = decidedHigh - this.#state.slot
    return behind > behindSlots ? { state: 'catchingUp', why: `${behind} slots are still to be applied here` } : serving
  }

  #onLogletStatus(): void {
    const { available } = this.#loglet.status()
    if (available) this.#unavailableSince = Infinity
    else if (this.#unavailableSince === Infinity) this.#unavailableSince = this.#scheduler.now()
    for (const listener of this.#listeners) listener()
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#proposals.close()
    this.#waiters.close(new LogError('closed', `the log has stopped: ${error.message}`))
    void this.#loglet.close()
    for (const listener of this.#listeners) listener()
    this.#options.onFailure(error)
  }
}

/** What the machine flushed was applied, hence decided, whatever the store's own mark says: it may lag behind by a moment. */
function decidedAtLeast(recovered: RecoveredEpoch, flushed: Slot): RecoveredEpoch {
  if (recovered.decidedThrough >= flushed) return recovered
  return { ...recovered, decidedThrough: flushed, window: recovered.window.filter(({ index }) => index > flushed) }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
