import {
  createEventMachine,
  openEventStore,
  startReclaiming,
  type EventMachine,
  type EventStore,
  type Reclaiming,
  type Verdict,
} from '@synod/events'
import { memoryReadSide, memoryReadSideStorage, type MemoryReadSideStorage } from '@synod/events/memory'
import type { Bytes } from '@synod/codec'
import type { LogStore, OrderedLog } from '@synod/log'
import { MemoryDisk, memoryLogStore } from '@synod/log/memory'
import { vi } from 'vitest'
import { SequentialLog } from './sequential-log.ts'

/** What a node leaves behind when it ends. */
export interface NodeRemains {
  readonly disk: MemoryDisk
  readonly storage: MemoryReadSideStorage
  readonly slots: Bytes[]
}

export function freshRemains(pieceBytes = 2048): NodeRemains {
  return { disk: new MemoryDisk({ pieceBytes }), storage: memoryReadSideStorage(), slots: [] }
}

/** One node whose payloads come from a LogStore, pieces of which are given back up to what the machine has flushed. */
export class ReclaimingNode {
  readonly remains: NodeRemains
  readonly machine: EventMachine
  readonly logStore: LogStore
  readonly store: EventStore
  readonly #log: SequentialLog<Verdict>
  readonly #reclaiming: Reclaiming
  #stored: number
  #storing: Promise<void> = Promise.resolve()
  /** Failures that were told. */
  readonly warnings: string[] = []

  private constructor(remains: NodeRemains, machine: EventMachine, log: SequentialLog<Verdict>, logStore: LogStore, stored: number) {
    this.remains = remains
    this.machine = machine
    this.logStore = logStore
    this.#log = log
    this.#stored = stored
    const storedLog: Pick<OrderedLog<Verdict>, 'propose' | 'openSession' | 'read' | 'slices' | 'space'> = {
      propose: (command) => log.propose(command),
      openSession: () => log.openSession(),
      read: () => log.read(),
      slices: async (requests) => {
        await this.storeSlots()
        return logStore.slices(requests.map(({ slot, offset, length }) => ({ epoch: 1, index: slot, offset, length })))
      },
      space: {
        unneededThrough: () => this.#stored,
        pieces: (through) => logStore.pieces(1, through),
        reclaim: (piece, keep) => logStore.reclaim(1, piece, keep),
      },
    }
    this.store = openEventStore({ log: storedLog as OrderedLog<Verdict>, machine, now: () => 1_700_000_000_000 })
    this.#reclaiming = startReclaiming({
      log: storedLog as OrderedLog<Verdict>,
      machine: {
        index: machine.index,
        ticks: { time: 0, progress: () => new Map(), reclaimable: () => machine.flushed() },
        flushed: () => machine.flushed(),
      },
      passMs: 0,
      workShareMax: 1,
      warn: (message) => this.warnings.push(message),
    })
  }

  static async open(remains: NodeRemains): Promise<ReclaimingNode> {
    const logStore = memoryLogStore(remains.disk)
    const { epochs } = await logStore.open('n1')
    // Little in memory, so that reads come to the log.
    const machine = createEventMachine({
      readSide: memoryReadSide({ storage: remains.storage }),
      limits: { tailBytesMax: 1, flushDelayMs: 1 },
    })
    const log = await SequentialLog.open(machine, remains.slots)
    return new ReclaimingNode(remains, machine, log, logStore, epochs[0]?.decidedThrough ?? 0)
  }

  /** Those decided since go into the LogStore. */
  storeSlots(): Promise<void> {
    this.#storing = this.#storing.then(() => this.#storeSlots())
    return this.#storing
  }

  async #storeSlots(): Promise<void> {
    const header = new Uint8Array(0)
    for (const entry of this.#log.slots.slice(this.#stored)) {
      const index = this.#stored + 1
      await this.logStore.write([
        { op: 'slot', epoch: 1, index, header, entry },
        { op: 'decidedThrough', epoch: 1, index },
      ])
      this.#stored = index
    }
  }

  get passes(): number {
    return this.#reclaiming.counters()['reclaimPasses'] ?? 0
  }

  /** Everything that can be given back now is. Retention must have been used. */
  async reclaimAll(): Promise<void> {
    await this.machine.flush()
    await this.storeSlots()
    const begun = this.passes
    // Twice: the first may have been under way. Pieces that rest are looked at again by then.
    await vi.waitFor(() => {
      if (this.passes < begun + 70) throw new Error('not yet')
    }, 20_000)
  }

  async close(): Promise<NodeRemains> {
    await this.#reclaiming.stop()
    await this.store.close()
    await this.#log.crash()
    await this.machine.close()
    await this.logStore.close()
    return this.remains
  }
}
