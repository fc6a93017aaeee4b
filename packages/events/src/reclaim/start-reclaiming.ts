/**
 * Gives space back in the background, on this node alone: nothing here is decided, and nobody waits for it. A piece of the
 * log (LogSpace) is given back when it ends at or below the bound, and enough of what it holds is hidden; of it only the
 * records of visible events stay.
 *
 * The bound is the least of what every voter told to have flushed, in decided ticks, so that no peer asks for these slots
 * again, and of what no start of this node reads again. Whatever is hidden stays hidden, so a piece that was measured is at
 * least as dead when it is copied, and a reader that found an event just before finds nothing of it in the log: it leaves the
 * event out, as one that came a moment later would.
 *
 * It is gentle: steps of a few slots, and after each a pause several times as long as the step took. A piece that has not
 * changed is looked at less and less often.
 */
import { StoreError, type OrderedLog, type Piece, type Slot } from '@synod/log'
import { systemScheduler, type Scheduler } from '@synod/transport'
import type { EventMachine } from '../event-machine.ts'
import { visibleParts, type VisibleSlots } from './visible-parts.ts'

export interface ReclaimingOptions {
  readonly log: Pick<OrderedLog<unknown>, 'space'>
  readonly machine: Pick<EventMachine, 'index' | 'ticks' | 'flushed'>
  /** Between two looks at all pieces. Default a minute. */
  readonly passMs?: number
  /** From 0 to 1: of the bytes of a piece's events, how many must be hidden. Default a half. */
  readonly reclaimDeadShareMin?: number
  /** From above 0 to 1: the part of the time that it works. Default a tenth. */
  readonly workShareMax?: number
  readonly scheduler?: Scheduler
  /** Told what an operator should know: a step failed in a way that the next pass does not heal. */
  readonly warn?: (message: string) => void
}

export interface Reclaiming {
  counters(): Readonly<Record<string, number>>
  /** Resolves when nothing is under way. To be called before the log closes. Idempotent. */
  stop(): Promise<void>
}

/** Passes that a piece which does not change is left alone, at most. */
const restPassesMax = 32
/** What counts as a change of a piece's dead share. */
const changedShare = 0.05
/** Pieces of which is remembered how they were found; beyond, all are looked at anew. */
const rememberedMax = 65_536
const pauseMsMax = 10_000

const passing: readonly string[] = ['fenced', 'closed', 'unavailable']

/** A piece as it was found the last time. */
interface Found {
  readonly to: Slot
  readonly deadShare: number
  /** Passes that it is left alone, and how many of them are left. */
  readonly rest: number
  left: number
}

export function startReclaiming(options: ReclaimingOptions): Reclaiming {
  return new Reclaimer(options)
}

/** Not an error: it was told to stop. */
class Stopped extends Error {}

class Reclaimer implements Reclaiming {
  readonly #options: Required<ReclaimingOptions>
  /** By first slot. */
  readonly #found = new Map<Slot, Found>()
  readonly #counters = {
    reclaimPasses: 0,
    reclaimEventsLookedAt: 0,
    reclaimedPieces: 0,
    reclaimedEventBytes: 0,
    reclaimFailures: 0,
    reclaimBoundSlot: 0,
  }
  readonly #running: Promise<void>
  #isStopped = false
  #wake = (): void => {}

  constructor(options: ReclaimingOptions) {
    this.#options = {
      passMs: 60_000,
      reclaimDeadShareMin: 0.5,
      workShareMax: 0.1,
      scheduler: systemScheduler,
      warn: () => {},
      ...options,
    }
    this.#running = this.#run()
  }

  counters(): Readonly<Record<string, number>> {
    return this.#counters
  }

  stop(): Promise<void> {
    this.#isStopped = true
    this.#wake()
    return this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#pause(this.#options.passMs)
        await this.#pass()
      } catch (error) {
        if (!(error instanceof Stopped)) this.#onFailure(error)
      }
    }
  }

  #onFailure(error: unknown): void {
    this.#counters.reclaimFailures++
    // A store that is gone has told its node by itself, and one that does not answer is tried again.
    if (error instanceof StoreError && passing.includes(error.code)) return
    this.#options.warn(`space that could be given back is not; the next pass tries again: ${String(error)}`)
  }

  /** One that fails must not keep the others from their turn. */
  async #tryPiece(piece: Piece): Promise<void> {
    try {
      await this.#look(piece)
    } catch (error) {
      if (error instanceof Stopped || (error instanceof StoreError && passing.includes(error.code))) throw error
      this.#onFailure(error)
    }
  }

  async #pass(): Promise<void> {
    const { log, machine } = this.#options
    if (machine.index.visibility.hidesNothing) return
    const through = Math.min(machine.ticks.reclaimable(), log.space.unneededThrough(), machine.flushed())
    this.#counters.reclaimBoundSlot = through
    for (let after = 0; ;) {
      const piece = log.space.pieces(through).find(({ from }) => from > after)
      if (piece === undefined) break
      after = piece.to
      if (piece.keptBytes !== 0 && this.#isDue(piece)) await this.#tryPiece(piece)
    }
    this.#counters.reclaimPasses++
  }

  #isDue({ from, to }: Piece): boolean {
    const found = this.#found.get(from)
    if (found === undefined || found.to !== to || found.left === 0) return true
    found.left--
    return false
  }

  async #look(piece: Piece): Promise<void> {
    const { log, reclaimDeadShareMin } = this.#options
    let [visible, hidden] = [0, 0]
    for await (const step of this.#steps(piece)) {
      this.#counters.reclaimEventsLookedAt += step.events
      visible += step.visibleBytes
      hidden += step.hiddenBytes
    }
    const deadShare = shareOf(piece, visible, hidden)
    const before = this.#found.get(piece.from)
    if (deadShare < reclaimDeadShareMin) {
      const isSame = before?.to === piece.to && Math.abs(before.deadShare - deadShare) < changedShare
      const rest = isSame ? Math.min(restPassesMax, before.rest * 2 + 1) : 0
      if (this.#found.size >= rememberedMax) this.#found.clear()
      this.#found.set(piece.from, { to: piece.to, deadShare: isSame ? before.deadShare : deadShare, rest, left: rest })
      return
    }
    this.#found.delete(piece.from)
    await log.space.reclaim(piece, this.#kept(piece))
    this.#counters.reclaimedPieces++
    this.#counters.reclaimedEventBytes += piece.keptBytes === undefined ? hidden : piece.keptBytes - visible
  }

  async *#kept(piece: Piece) {
    for await (const { kept } of this.#steps(piece)) if (kept.length > 0) yield kept
  }

  /** Each followed by its pause. Throws when it is to stop. */
  async *#steps({ from, to }: Piece): AsyncIterable<VisibleSlots> {
    const { machine, scheduler, workShareMax } = this.#options
    let begun = scheduler.now()
    for await (const step of visibleParts(machine.index, from, to)) {
      yield step
      await this.#pause(((scheduler.now() - begun) * (1 - workShareMax)) / workShareMax)
      begun = scheduler.now()
    }
  }

  async #pause(ms: number): Promise<void> {
    const { scheduler } = this.#options
    await new Promise<void>((resolve) => {
      const cancel = scheduler.at(scheduler.now() + Math.min(ms, Math.max(pauseMsMax, this.#options.passMs)), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
      if (this.#isStopped) this.#wake()
    })
    if (this.#isStopped) throw new Stopped('stopped')
  }
}

/** Of what is there now. A piece without events holds nothing that anybody asks for. */
function shareOf({ keptBytes }: Piece, visible: number, hidden: number): number {
  if (keptBytes !== undefined) return 1 - visible / keptBytes
  return visible + hidden === 0 ? 1 : hidden / (visible + hidden)
}
