/**
 * Applies decided entries in slot order: the session table drops what was executed before, the machine executes the rest,
 * the chain's hash is computed. What is applied is saved now and then, so that a start reads again only what came after.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId, Scheduler } from '@synod/transport'
import { nextHash } from './chain-hash.ts'
import { decodeEntry } from './entry-codec.ts'
import type { Entry } from './entry.ts'
import type { Envelope } from './envelope.ts'
import { LogState } from './log-state.ts'
import { StoreError, type LogStore, type Recovered } from './log-store.ts'
import type { DecidedEntry, Loglet } from './loglet.ts'
import type { Outcome } from './ordered-log.ts'
import type { Epoch, Slot } from './slot.ts'
import type { StateMachine } from './state-machine.ts'
import type { VirtualLogLimits } from './virtual-log-options.ts'

export interface ApplierOptions<O> {
  readonly self: NodeId
  readonly epoch: Epoch
  readonly store: LogStore
  readonly machine: StateMachine<O>
  readonly scheduler: Scheduler
  readonly limits: VirtualLogLimits
  readonly state: LogState<O>
  /** The command was judged, in order; an opening's output is undefined. Not called for what is applied again at a start. */
  readonly onApplied: (command: Envelope, outcome: Outcome<O | undefined>) => void
  /** Everything up to this slot is applied. */
  readonly onAdvance: (slot: Slot) => void
  readonly onFailure: (error: unknown) => void
}

export interface AppliedEntry {
  readonly slot: Slot
  readonly entry: Entry
  readonly bytes: Bytes
}

const stateKey = 'log'
/** Applying yields to frames and timers after about this long. */
const turnMs = 10

/** The saved state counts only when this build knows its form and the machine has flushed as much; else everything is read again from the first slot. */
export function recoverState<O>(recovered: Recovered, flushed: Slot, limits: VirtualLogLimits, machine: StateMachine<O>): LogState<O> {
  const saved = recovered.epochs.find(({ epoch }) => epoch === 0)?.meta.get(stateKey)
  if (saved !== undefined) {
    const state = LogState.decode(saved, limits, machine.outputs)
    if (state !== undefined && state.slot <= flushed) return state
  }
  return new LogState(limits, machine.outputs)
}

export class Applier<O> {
  readonly #options: ApplierOptions<O>
  readonly #state: LogState<O>
  readonly #machine: StateMachine<O>
  #unsaved: { readonly slot: Slot; readonly bytes: Bytes } | undefined
  /** Of the last state that was encoded. */
  #encodedSlot: Slot
  #savedSlot: Slot
  /** Saves one after the other. */
  #saving: Promise<void> = Promise.resolve()
  #bytesSinceSave = 0

  constructor(options: ApplierOptions<O>) {
    this.#options = options
    this.#state = options.state
    this.#machine = options.machine
    this.#savedSlot = this.#encodedSlot = options.state.slot
  }

  /** What the next start begins with at least: the state of this slot is durable, and so is what the machine flushed up to it. */
  get savedSlot(): Slot {
    return this.#savedSlot
  }

  /** Until the loglet is closed. Rejects when a store is damaged, and when the machine halts. */
  async run(loglet: Loglet): Promise<void> {
    const { scheduler, onAdvance } = this.#options
    await this.#replay()
    let turnBegan = scheduler.now()
    for await (const batch of loglet.decided(this.#state.slot + 1)) {
      const slots = batch.map((decided) => ({ decided, entry: decodeEntry(decided.entry) }))
      const wait = this.#machine.prefetch(slots.flatMap(({ entry }) => (entry.kind === 'commands' ? entry.commands : [])))
      if (wait !== undefined) await wait
      for (const { decided, entry } of slots) this.#applySlot(decided, entry)
      onAdvance(this.#state.slot)
      const save = this.#saveWhenDue()
      if (save !== undefined) await save
      if (scheduler.now() - turnBegan < turnMs) continue
      // Far behind, this loop always finds more: frames and timers get their turn between batches.
      await new Promise<void>((resolve) => scheduler.defer(resolve))
      turnBegan = scheduler.now()
    }
  }

  /** Resolves when no save is under way. */
  saved(): Promise<void> {
    return this.#saving
  }

  /** At a clean end, when the machine has flushed and synced everything: the next start reads nothing again. */
  async saveAll(): Promise<void> {
    const { slot } = this.#state
    if (this.#machine.flushed() >= slot) await this.#save(slot, this.#state.encode())
  }

  /** Applied entries, from the store, ascending and without a gap. */
  async *entries(from: Slot, to: Slot): AsyncIterable<AppliedEntry> {
    const { self, store, epoch } = this.#options
    const last = Math.min(to, this.#state.slot)
    yield* stored(self, store, epoch, from, last)
  }

  /**
   * What the machine flushed and the saved state of the log does not cover. The machine must not apply it twice, so its
   * answers come from what it flushed. These slots were applied once, so the store holds their decided entries.
   */
  async #replay(): Promise<void> {
    const { self, store, epoch, onAdvance } = this.#options
    const flushed = this.#machine.flushed()
    if (this.#state.slot >= flushed) return
    const answers = this.#machine.answers(this.#state.slot + 1, flushed)[Symbol.asyncIterator]()
    let answered = await answers.next()
    for await (const { slot, entry, bytes } of stored(self, store, epoch, this.#state.slot + 1, flushed)) {
      while (answered.done !== true && answered.value.slot < slot) answered = await answers.next()
      const outputs: ReadonlyMap<number, O> = answered.done !== true && answered.value.slot === slot ? answered.value.outputs : new Map()
      this.#applyEntry(slot, entry, bytes, (_, index) => {
        const output = outputs.get(index)
        if (output === undefined)
          throw new Error(`the machine has flushed slot ${slot} without the answer to its command ${index}: its store is damaged`)
        return output
      })
    }
    onAdvance(this.#state.slot)
  }

  #applySlot({ index: slot, entry: bytes }: DecidedEntry, entry: Entry): void {
    const outcomes = this.#applyEntry(slot, entry, bytes, (command, index) => this.#machine.apply(command, { slot, index, entry: bytes }))
    this.#machine.slotApplied(slot)
    this.#bytesSinceSave += bytes.length
    if (entry.kind === 'noop') return
    const { onApplied } = this.#options
    for (const [index, command] of entry.commands.entries()) onApplied(command, outcomes[index]!)
  }

  /** The outcomes by command. */
  #applyEntry(slot: Slot, entry: Entry, bytes: Bytes, apply: (command: Envelope, index: number) => O): readonly Outcome<O | undefined>[] {
    const state = this.#state
    if (slot !== state.slot + 1) throw new Error(`slot ${slot} came after slot ${state.slot}`)
    const outcomes = entry.kind === 'noop' ? [] : entry.commands.map((command, index) => this.#applyCommand(command, slot, index, apply))
    state.hash = nextHash(state.hash, slot, bytes)
    state.slot = slot
    return outcomes
  }

  #applyCommand(command: Envelope, slot: Slot, index: number, apply: (command: Envelope, index: number) => O): Outcome<O | undefined> {
    const { sessions } = this.#state
    const { session, sequence, floor } = command
    if (session === 0) {
      sessions.open(slot)
      return { fate: 'answered', slot, output: undefined }
    }
    const verdict = sessions.judge(session, sequence, floor)
    if (verdict.kind === 'expired') return { fate: 'unknown', why: 'sessionExpired' }
    if (verdict.kind === 'answered') return { fate: 'answered', ...verdict.answer }
    const answer = { fate: 'answered', slot, output: apply(command, index) } as const
    sessions.record(session, sequence, answer)
    return answer
  }

  /** Undefined when there is nothing to wait for. */
  #saveWhenDue(): Promise<void> | undefined {
    const { saveSlotsMax, saveBytesMax } = this.#options.limits
    const due = this.#state.slot - this.#encodedSlot >= saveSlotsMax || this.#bytesSinceSave >= saveBytesMax
    if (this.#unsaved === undefined && due) return this.#encodeState().then(() => this.#saveFlushed())
    this.#saveFlushed()
    return undefined
  }

  /** Nothing is applied meanwhile; frames and timers get their turns. */
  async #encodeState(): Promise<void> {
    const { scheduler } = this.#options
    const { slot } = this.#state
    const steps = this.#state.encodeInSteps()
    let turnBegan = scheduler.now()
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) {
      if (scheduler.now() - turnBegan < turnMs) continue
      await new Promise<void>((resolve) => scheduler.defer(resolve))
      turnBegan = scheduler.now()
    }
    this.#unsaved = { slot, bytes: step.value }
    this.#encodedSlot = slot
    this.#bytesSinceSave = 0
  }

  #saveFlushed(): void {
    const unsaved = this.#unsaved
    if (unsaved === undefined || unsaved.slot > this.#machine.flushed()) return
    this.#unsaved = undefined
    this.#saving = this.#saving
      .then(() => this.#syncAndSave(unsaved.slot, unsaved.bytes))
      .catch((error: unknown) => this.#options.onFailure(error))
  }

  /** A saved state ahead of the machine counts for nothing, and once slots were reclaimed there may be no other: hence durable first. */
  async #syncAndSave(slot: Slot, value: Bytes): Promise<void> {
    await this.#machine.sync?.()
    await this.#save(slot, value)
  }

  async #save(slot: Slot, value: Bytes): Promise<void> {
    await this.#options.store.write([{ op: 'meta', epoch: 0, key: stateKey, value }])
    this.#savedSlot = Math.max(this.#savedSlot, slot)
  }
}

async function* stored(self: NodeId, store: LogStore, epoch: Epoch, from: Slot, to: Slot): AsyncIterable<AppliedEntry> {
  let next = from
  if (next > to) return
  for await (const batch of store.read(epoch, from, to)) {
    for (const { index, entry } of batch) {
      if (index !== next) throw missing(self, next, index - 1)
      yield { slot: index, entry: decodeEntry(entry), bytes: entry }
      next++
    }
  }
  if (next <= to) throw missing(self, next, to)
}

function missing(node: NodeId, from: Slot, to: Slot): StoreError {
  return new StoreError(
    'missing',
    `slots ${from} to ${to} were applied and are not in the store of ${node}: it is damaged, restore it or replace the node`,
  )
}
