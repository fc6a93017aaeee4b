/**
 * One node's disk, and a LogStore on it. A write is durable when its sync is over and not before; writes that wait for a
 * sync share the next one. Power is cut at any moment: what was synced stays, of what is being synced a part may stay, in
 * order, and the rest is gone. A sync may be slow, or fail: then nobody knows what of it is durable, and the store is dead.
 */
import type { Bytes } from '@synod/codec'
import {
  StoreError,
  StoreOperationChecker,
  type Genesis,
  type KeptSlot,
  type LogStore,
  type Piece,
  type Recovered,
  type Slice,
  type StoredSlot,
  type StoreOperation,
} from '@synod/log'
import { MemoryDisk } from '@synod/log/memory'
import type { NodeId } from '@synod/transport'
import type { Dice } from './dice.ts'
import type { Life } from './life.ts'
import type { Tally } from './tally.ts'
import type { World } from './world.ts'

export interface DiskRates {
  readonly syncMsMin: number
  readonly syncMsMean: number
  /** Of syncs that take up to `slowSyncMsMax`. */
  readonly slowSyncRate: number
  readonly slowSyncMsMax: number
  readonly readMsMean: number
  readonly readBatchBytesMax: number
}

/** The mean of a healed disk, at most. */
const healthySyncMs = 5

interface Write {
  readonly operations: readonly StoreOperation[]
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

export class Disk {
  readonly #world: World
  readonly #dice: Dice
  readonly #rates: DiskRates
  readonly #tally: Tally
  readonly #pieceBytes: number | undefined
  #disk: MemoryDisk
  /** These slots, decided and whole, are about to go. */
  onReclaim: (slots: readonly StoredSlot[]) => void = () => {}
  readonly #given = new Set<number>()
  #store: DiskStore | undefined
  #isHealthy = false
  #cancelSync: () => void = () => {}
  /** The next sync fails. */
  failsNext: 'disk_full' | 'unavailable' | undefined
  /** A sync has failed. */
  onFailed: () => void = () => {}
  /** No sync ends before this. */
  stalledUntil = 0

  /** `pieceBytes`: of what is given back at once; undefined: as the disk has it. */
  constructor(world: World, dice: Dice, rates: DiskRates, tally: Tally, pieceBytes?: number) {
    this.#pieceBytes = pieceBytes
    this.#disk = this.#blank()
    this.#world = world
    this.#dice = dice
    this.#rates = rates
    this.#tally = tally
  }

  /** For the checks at the end. */
  get content(): MemoryDisk {
    return this.#disk
  }

  found(genesis: Genesis): void {
    this.#disk.found(genesis)
  }

  open(life: Life): LogStore {
    this.#store = new DiskStore({
      disk: this.#disk,
      life,
      readMs: () => this.#readMs(),
      readBatchBytesMax: this.#rates.readBatchBytesMax,
      sync: (store) => this.#sync(store),
      onReclaim: (slots) => {
        this.#tally.add('pieces given back')
        this.#tally.add('slots given back', slots.length)
        for (const { index } of slots) this.#given.add(index)
        this.onReclaim(slots)
      },
    })
    return this.#store
  }

  /** From now on syncs are as they should be, and one that is stalled ends. */
  heal(): void {
    this.#isHealthy = true
    this.failsNext = undefined
    this.#cancelSync()
    if (this.#store !== undefined && this.#store.syncing.length > 0) this.#sync(this.#store)
  }

  /** Power is cut, or the process killed. */
  crash(): void {
    const store = this.#store
    this.#store = undefined
    if (store === undefined) return
    const { syncing } = store
    if (syncing.length > 0 && this.#dice.chance(0.5)) store.persist(syncing.slice(0, this.#dice.whole(0, syncing.length)))
    this.#tally.add('writesDropped', store.waiting.length + syncing.length)
  }

  wipe(): void {
    this.crash()
    this.#given.clear()
    this.#disk = this.#blank()
  }

  /** The slot is not there any more as a whole. */
  gaveBack(slot: number): boolean {
    return this.#given.has(slot)
  }

  #blank(): MemoryDisk {
    return new MemoryDisk(this.#pieceBytes === undefined ? {} : { pieceBytes: this.#pieceBytes })
  }

  #sync(store: DiskStore): void {
    const { syncMsMin, syncMsMean, slowSyncRate, slowSyncMsMax } = this.#rates
    let ms = this.#isHealthy ? this.#dice.exponential(Math.min(syncMsMean, healthySyncMs)) : syncMsMin + this.#dice.exponential(syncMsMean)
    if (!this.#isHealthy && this.#dice.chance(slowSyncRate)) {
      this.#tally.add('slowSyncs')
      ms += this.#dice.unit() * slowSyncMsMax
    }
    this.#cancelSync = this.#world.at(Math.max(this.#world.now + ms, this.#isHealthy ? 0 : this.stalledUntil), () => this.#onSynced(store))
  }

  #onSynced(store: DiskStore): void {
    if (this.#store !== store) return
    const { failsNext } = this
    this.failsNext = undefined
    if (failsNext === undefined) return store.onSynced()
    this.#tally.add('syncsFailed')
    if (this.#dice.chance(0.5)) store.persist(store.syncing)
    const what = failsNext === 'disk_full' ? 'no space left on this disk' : 'a sync failed'
    this.onFailed()
    store.onFailed(new StoreError(failsNext, `${what}: planted by the simulator`))
  }

  #readMs(): number {
    return this.#rates.readMsMean === 0 ? 0 : this.#dice.exponential(this.#rates.readMsMean)
  }
}

interface DiskStoreOptions {
  readonly disk: MemoryDisk
  readonly life: Life
  readonly readMs: () => number
  readonly readBatchBytesMax: number
  /** Begins a sync of `syncing`. */
  readonly sync: (store: DiskStore) => void
  readonly onReclaim: (slots: readonly StoredSlot[]) => void
}

class DiskStore implements LogStore {
  readonly #options: DiskStoreOptions
  #boot = 0
  #checker = new StoreOperationChecker([])
  #dead: StoreError | undefined
  #closing: PromiseWithResolvers<void> | undefined
  waiting: Write[] = []
  syncing: readonly Write[] = []

  constructor(options: DiskStoreOptions) {
    this.#options = options
  }

  found(): Promise<void> {
    return Promise.reject(new StoreError('already_founded', 'the simulator founds its disks'))
  }

  async open(self: NodeId, cluster?: string): Promise<Recovered> {
    await this.#read()
    const recovered = this.#options.disk.takeOver(self, cluster)
    this.#boot = recovered.boot
    this.#checker = new StoreOperationChecker(recovered.epochs)
    return recovered
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    const { life, sync } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (!life.calls(true)) return promise
    if (this.#dead !== undefined) return Promise.reject(this.#dead)
    if (this.#boot === 0 || this.#closing !== undefined) return Promise.reject(new StoreError('closed', 'the store is not open'))
    try {
      this.#checker.check(operations)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    this.waiting.push({ operations, resolve, reject })
    if (this.syncing.length === 0) {
      this.#begin()
      sync(this)
    }
    return promise
  }

  async *read(epoch: number, from: number, to: number): AsyncIterable<readonly StoredSlot[]> {
    for (let next = from; next <= to;) {
      await this.#read()
      const batch = this.#options.disk.slots(epoch, next, to, this.#options.readBatchBytesMax)
      const last = batch.at(-1)
      if (last === undefined) return
      yield batch
      next = last.index + 1
    }
  }

  async slices(requests: readonly Slice[]): Promise<(Bytes | undefined)[]> {
    await this.#read()
    return requests.map(({ epoch, index, offset, length }) => {
      const part = this.#options.disk.part(epoch, index, offset, length)
      if (part === null) throw new StoreError('missing', `slot ${index} of epoch ${epoch} is not here`)
      return part
    })
  }

  pieces(epoch: number, through: number): readonly Piece[] {
    return this.#options.disk.pieces(epoch, through)
  }

  async reclaim(epoch: number, piece: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void> {
    this.#checker.beginReclaim(epoch, piece)
    const kept: KeptSlot[] = []
    for await (const batch of keep) kept.push(...batch)
    await this.#read()
    const { disk, life, onReclaim } = this.#options
    if (!life.calls(true)) return new Promise(() => {})
    // A piece that was given back before holds parts of slots only.
    const whole = piece.keptBytes === undefined ? disk.slots(epoch, piece.from, piece.to, Number.MAX_SAFE_INTEGER) : []
    disk.reclaim(this.#boot, epoch, piece, kept)
    onReclaim(whole)
  }

  counters(): Readonly<Record<string, number>> {
    return {}
  }

  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>()
    if (this.syncing.length === 0) this.#closing.resolve()
    return this.#closing.promise
  }

  persist(writes: readonly Write[]): void {
    this.#options.disk.apply(
      this.#boot,
      writes.flatMap(({ operations }) => operations),
    )
  }

  onSynced(): void {
    const { life, sync } = this.#options
    const synced = this.syncing
    this.persist(synced)
    this.#begin()
    if (this.syncing.length > 0) sync(this)
    life.world.defer(() => {
      for (const write of synced) write.resolve()
      if (this.syncing.length === 0) this.#closing?.resolve()
    }, life)
  }

  onFailed(error: StoreError): void {
    this.#dead = error
    const failed = [...this.syncing, ...this.waiting]
    this.syncing = []
    this.waiting = []
    const { life } = this.#options
    life.world.defer(() => {
      for (const write of failed) write.reject(error)
      this.#closing?.resolve()
    }, life)
  }

  #begin(): void {
    this.syncing = this.waiting
    this.waiting = []
  }

  /** Reading takes its time; a dead process waits for ever. */
  async #read(): Promise<void> {
    const { life, readMs } = this.#options
    if (this.#dead !== undefined) throw this.#dead
    const ms = readMs()
    if (ms > 0) await life.sleep(ms)
    if (!life.isAlive) await new Promise(() => {})
  }
}
