/**
 * The one implementation of OrderedLog: what is above a single protocol. A loglet orders opaque entries; here they become
 * commands that are executed at most once, in order, on every node alike: proposals are batched and offered until they are
 * seen applied (proposals.ts), the session table drops what was executed before (session-table.ts), the chain's hash is
 * computed (chain-hash.ts), reads share barriers (reads.ts). One epoch so far: slot and index are the same number.
 *
 * A slot is applied when its entry is decided, is durable in this node's own store, and every slot before it is applied.
 */
import { ByteWriter, bytesToHex, type Bytes } from '@synod/codec'
import type { NodeId, Scheduler } from '@synod/transport'
import type { Configuration, Genesis } from './configuration.ts'
import { nextHash } from './chain-hash.ts'
import { decodeEntry, principalBytesMax } from './entry-codec.ts'
import type { Entry } from './entry.ts'
import type { Envelope } from './envelope.ts'
import { LogState } from './log-state.ts'
import { StoreError, type LogStore, type Recovered, type RecoveredEpoch } from './log-store.ts'
import type { Capabilities, DecidedEntry, Loglet, LogletFactory } from './loglet.ts'
import { LogError, type LogStatus, type OrderedLog, type Outcome, type SlotSlice } from './ordered-log.ts'
import { PeerNetwork } from './peer-network.ts'
import { AbsentLog } from './absent-log.ts'
import { Proposals } from './proposals.ts'
import { Reads } from './reads.ts'
import type { Slot } from './slot.ts'
import { SlotWaiters } from './slot-waiters.ts'
import type { StateMachine } from './state-machine.ts'
import { virtualLogLimits } from './virtual-log-limits.ts'
import type { VirtualLogLimits, VirtualLogOptions } from './virtual-log-options.ts'

/** An election may take this long before callers are told at once that there is no quorum. */
const graceMs = 3000
/** Slots between what is known decided and what is applied, above which a node calls itself behind. */
const behindSlots = 256
const stateKey = 'log'
/** Applying yields to frames and timers after about this long. */
const turnMs = 10

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

/** The saved state counts only when this build knows its form and the machine has flushed as much; else everything is read again from the first slot. */
function recoverState<O>(recovered: Recovered, flushed: Slot, limits: VirtualLogLimits, machine: StateMachine<O>): LogState<O> {
  const saved = recovered.epochs.find(({ epoch }) => epoch === 0)?.meta.get(stateKey)
  if (saved !== undefined) {
    const state = LogState.decode(saved, limits, machine.outputs)
    if (state !== undefined && state.slot <= flushed) return state
  }
  return new LogState(limits, machine.outputs)
}

class VirtualLog<O> implements OrderedLog<O> {
  readonly capabilities: Capabilities
  readonly #self: NodeId
  readonly #scheduler: Scheduler
  readonly #limits: VirtualLogLimits
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
  readonly #applying: Promise<void>
  readonly #nonce: Bytes
  #unsaved: { readonly slot: Slot; readonly bytes: Bytes } | undefined
  #savedSlot: Slot
  #bytesSinceSave = 0
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
    this.#self = options.self
    this.#scheduler = options.scheduler
    this.#limits = limits
    this.#configuration = genesis.configuration
    this.#store = options.store
    this.#machine = options.machine
    this.#factory = factory
    this.#state = state
    this.#savedSlot = state.slot
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
    this.#proposals = new Proposals(limits, options.scheduler, this.#loglet)
    this.#reads = new Reads(
      options.scheduler,
      () => this.#loglet.barrier(),
      () => this.#refusal(),
      limits.readsMax,
    )
    this.#loglet.onStatus(() => this.#onLogletStatus())
    this.#onLogletStatus()
    this.#applying = this.#applyAll().catch((error: unknown) => this.#fail(asError(error)))
  }

  propose(command: Envelope, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Outcome<O>> {
    if (command.session === 0) throw new RangeError('session 0 is for openings: call openSession')
    if (Buffer.byteLength(command.principal) > principalBytesMax) throw new RangeError(`a principal has at most ${principalBytesMax} bytes`)
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

  entries(from: Slot, to = Number.MAX_SAFE_INTEGER): AsyncIterable<{ readonly slot: Slot; readonly entry: Entry; readonly bytes: Bytes }> {
    return this.#stored(Math.max(1, from), Math.min(to, this.#state.slot))
  }

  slices(requests: readonly SlotSlice[]): Promise<Bytes[]> {
    const { epoch } = this.#configuration
    return this.#store.slices(requests.map(({ slot, offset, length }) => ({ epoch, index: slot, offset, length })))
  }

  status(): LogStatus {
    const { role, leader, available, why, decidedHigh } = this.#loglet.status()
    const applied = this.#state.slot
    const decided = Math.max(decidedHigh, applied)
    const known = {
      epoch: this.#configuration.epoch,
      protocol: this.#configuration.protocol,
      mode: this.#factory.mode,
      role,
      decided,
      applied,
      hash: bytesToHex(this.#state.hash),
      ...(leader === undefined ? {} : { leader }),
    }
    if (this.#failure !== undefined) return { ...known, state: 'stopped', why: this.#failure.message }
    if (this.#closing !== undefined) return { ...known, state: 'stopped', why: 'it is shutting down' }
    if (!available && this.#scheduler.now() - this.#unavailableSince >= graceMs)
      return { ...known, state: 'unavailable', why: why ?? 'no quorum of the cluster answers this node' }
    if (decided - applied > behindSlots)
      return { ...known, state: 'catchingUp', why: `${decided - applied} slots are still to be applied here` }
    return { ...known, state: 'serving' }
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
    await this.#machine.close()
    if (this.#failure === undefined && this.#machine.flushed() >= this.#state.slot) await this.#save(this.#state.encode())
    await this.#store.close()
  }

  /** Why a command or a read should not even be tried now; undefined when it may be. */
  #refusal(): string | undefined {
    const { state, why } = this.status()
    return state === 'serving' ? undefined : (why ?? state)
  }

  #onLogletStatus(): void {
    const { available } = this.#loglet.status()
    if (available) this.#unavailableSince = Infinity
    else if (this.#unavailableSince === Infinity) this.#unavailableSince = this.#scheduler.now()
    for (const listener of this.#listeners) listener()
  }

  async #applyAll(): Promise<void> {
    await this.#replay()
    let turnBegan = this.#scheduler.now()
    for await (const batch of this.#loglet.decided(this.#state.slot + 1)) {
      const slots = batch.map((decided) => ({ decided, entry: decodeEntry(decided.entry) }))
      const wait = this.#machine.prefetch(slots.flatMap(({ entry }) => (entry.kind === 'commands' ? entry.commands : [])))
      if (wait !== undefined) await wait
      for (const { decided, entry } of slots) this.#applySlot(decided, entry)
      this.#waiters.advance(this.#state.slot)
      this.#saveWhenDue()
      if (this.#scheduler.now() - turnBegan < turnMs) continue
      // Far behind, this loop always finds more: frames and timers get their turn between batches.
      await new Promise<void>((resolve) => this.#scheduler.defer(resolve))
      turnBegan = this.#scheduler.now()
    }
  }

  /**
   * What the machine flushed and the saved state of the log does not cover. The machine must not apply it twice, so its
   * answers come from what it flushed. These slots were applied once, so the store holds their decided entries.
   */
  async #replay(): Promise<void> {
    const flushed = this.#machine.flushed()
    if (this.#state.slot >= flushed) return
    const answers = this.#machine.answers(this.#state.slot + 1, flushed)[Symbol.asyncIterator]()
    let answered = await answers.next()
    for await (const { slot, entry } of this.#stored(this.#state.slot + 1, flushed)) {
      while (answered.done !== true && answered.value.slot < slot) answered = await answers.next()
      const outputs: ReadonlyMap<number, O> = answered.done !== true && answered.value.slot === slot ? answered.value.outputs : new Map()
      this.#applyEntry(slot, entry, (_, index) => {
        const output = outputs.get(index)
        if (output === undefined)
          throw new Error(`the machine has flushed slot ${slot} without the answer to its command ${index}: its store is damaged`)
        return output
      })
    }
    this.#waiters.advance(this.#state.slot)
  }

  #applySlot({ index: slot, entry: bytes }: DecidedEntry, entry: Entry): void {
    const outcomes = this.#applyEntry(slot, entry, (command, index) => this.#machine.apply(command, { slot, index, entry: bytes }))
    this.#machine.slotApplied(slot)
    this.#bytesSinceSave += bytes.length
    for (const { command, outcome } of outcomes) this.#proposals.onApplied(command, outcome)
  }

  #applyEntry(
    slot: Slot,
    entry: Entry,
    apply: (command: Envelope, index: number) => O,
  ): { readonly command: Envelope; readonly outcome: Outcome<O | undefined> }[] {
    const state = this.#state
    if (slot !== state.slot + 1) throw new Error(`slot ${slot} came after slot ${state.slot}`)
    const commands = entry.kind === 'commands' ? entry.commands : []
    const outcomes = commands.map((command, index) => ({
      command,
      outcome: this.#applyCommand(command, slot, () => apply(command, index)),
    }))
    state.hash = nextHash(state.hash, slot, entry)
    state.slot = slot
    return outcomes
  }

  #applyCommand({ session, sequence, floor }: Envelope, slot: Slot, apply: () => O): Outcome<O | undefined> {
    const { sessions } = this.#state
    if (session === 0) {
      sessions.open(slot)
      return { fate: 'answered', slot, output: undefined }
    }
    const verdict = sessions.judge(session, sequence, floor)
    if (verdict.kind === 'expired') return { fate: 'unknown', why: 'sessionExpired' }
    if (verdict.kind === 'answered') return { fate: 'answered', ...verdict.answer }
    const output = apply()
    sessions.record(session, sequence, { slot, output })
    return { fate: 'answered', slot, output }
  }

  async *#stored(from: Slot, to: Slot): AsyncIterable<{ readonly slot: Slot; readonly entry: Entry; readonly bytes: Bytes }> {
    let next = from
    if (next > to) return
    for await (const batch of this.#store.read(this.#configuration.epoch, from, to)) {
      for (const { index, entry } of batch) {
        if (index !== next) throw missing(this.#self, next, index - 1)
        yield { slot: index, entry: decodeEntry(entry), bytes: entry }
        next++
      }
    }
    if (next <= to) throw missing(this.#self, next, to)
  }

  #saveWhenDue(): void {
    const { saveSlotsMax, saveBytesMax } = this.#limits
    const { slot } = this.#state
    const due = slot - this.#savedSlot >= saveSlotsMax || this.#bytesSinceSave >= saveBytesMax
    if (this.#unsaved === undefined && due) {
      this.#unsaved = { slot, bytes: this.#state.encode() }
      this.#savedSlot = slot
      this.#bytesSinceSave = 0
    }
    const unsaved = this.#unsaved
    if (unsaved === undefined || unsaved.slot > this.#machine.flushed()) return
    this.#unsaved = undefined
    this.#save(unsaved.bytes).catch((error: unknown) => this.#fail(asError(error)))
  }

  async #save(value: Bytes): Promise<void> {
    await this.#store.write([{ op: 'meta', epoch: 0, key: stateKey, value }])
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

function missing(node: NodeId, from: Slot, to: Slot): StoreError {
  return new StoreError(
    'missing',
    `slots ${from} to ${to} were applied and are not in the store of ${node}: it is damaged, restore it or replace the node`,
  )
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
