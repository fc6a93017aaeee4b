/**
 * A LogStore in memory, for tests and simulations. Like a real one it is asynchronous: a write is durable some turns after
 * the call, writes that wait for the same turn become durable together, and a crash of the disk drops those that wait.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import type { Genesis } from './configuration.ts'
import {
  StoreError,
  type KeptSlot,
  type LogStore,
  type Piece,
  type Recovered,
  type Slice,
  type StoredSlot,
  type StoreOperation,
} from './log-store.ts'
import { MemoryDisk } from './memory-disk.ts'
import type { Epoch, Index } from './slot.ts'
import { StoreOperationChecker } from './store-operation-checker.ts'

export interface MemoryLogStoreOptions {
  /** Calls `run` later, never at once: when waiting writes become durable. Default: in the event loop's next turn. */
  readonly defer?: (run: () => void) => void
  /** Bytes of headers and entries in one batch of `read`, unless a single slot has more. Default 1 MiB. */
  readonly readBatchBytesMax?: number
}

/** A store on this disk; a fresh, empty disk if none is given. */
export function memoryLogStore(disk: MemoryDisk = new MemoryDisk(), options: MemoryLogStoreOptions = {}): LogStore {
  return new MemoryLogStore(disk, options.defer ?? ((run) => void setImmediate(run)), options.readBatchBytesMax ?? 1024 * 1024)
}

interface WaitingWrite {
  readonly operations: readonly StoreOperation[]
  resolve(): void
  reject(error: StoreError): void
}

interface Opened {
  readonly boot: number
  /** The disk's crashes at the opening: one more, and this store is gone. */
  readonly crashes: number
  readonly checker: StoreOperationChecker
}

class MemoryLogStore implements LogStore {
  readonly #disk: MemoryDisk
  readonly #defer: (run: () => void) => void
  readonly #readBatchBytesMax: number
  #opened: Opened | undefined
  #dead: StoreError | undefined
  #closed = false
  #waiting: WaitingWrite[] = []
  #writes = 0
  #flushes = 0
  #rowsWritten = 0

  constructor(disk: MemoryDisk, defer: (run: () => void) => void, readBatchBytesMax: number) {
    this.#disk = disk
    this.#defer = defer
    this.#readBatchBytesMax = readBatchBytesMax
  }

  async found(genesis: Genesis): Promise<void> {
    this.#refuseClosed()
    if (this.#opened !== undefined) throw new StoreError('already_founded', 'a store is founded before it is opened')
    this.#disk.found(genesis)
  }

  async open(self: NodeId, cluster?: string): Promise<Recovered> {
    this.#refuseClosed()
    if (this.#opened !== undefined) throw new StoreError('fenced', 'this store is open already: make another one')
    const recovered = this.#disk.takeOver(self, cluster)
    this.#opened = { boot: recovered.boot, crashes: this.#disk.crashes, checker: new StoreOperationChecker(recovered.epochs) }
    return recovered
  }

  async write(operations: readonly StoreOperation[]): Promise<void> {
    this.#usable().checker.check(operations)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ operations: operations.map(copy), resolve, reject })
    if (this.#waiting.length === 1) this.#defer(() => this.#flush())
    return promise
  }

  async *read(epoch: Epoch, from: Index, to: Index): AsyncIterable<readonly StoredSlot[]> {
    for (let next = from; next <= to;) {
      this.#usable()
      const batch = this.#disk.slots(epoch, next, to, this.#readBatchBytesMax)
      const last = batch.at(-1)
      if (last === undefined) return
      yield batch
      next = last.index + 1
    }
  }

  async slices(requests: readonly Slice[]): Promise<(Bytes | undefined)[]> {
    this.#usable()
    return requests.map(({ epoch, index, offset, length }) => {
      const part = this.#disk.part(epoch, index, offset, length)
      if (part !== null) return part
      throw new StoreError(
        'missing',
        `bytes ${offset} to ${offset + length} of slot ${index} in epoch ${epoch} are not here: fetch the slot from a peer`,
      )
    })
  }

  pieces(epoch: Epoch, through: Index): readonly Piece[] {
    this.#usable()
    return this.#disk.pieces(epoch, through)
  }

  async reclaim(epoch: Epoch, piece: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void> {
    this.#usable().checker.beginReclaim(epoch, piece)
    const kept: KeptSlot[] = []
    for await (const batch of keep) kept.push(...batch)
    this.#disk.reclaim(this.#usable().boot, epoch, piece, kept)
  }

  counters(): Readonly<Record<string, number>> {
    return { storage_bytes: this.#disk.bytes, writes: this.#writes, transactions: this.#flushes, rows_written: this.#rowsWritten }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#flush()
  }

  #flush(): void {
    const waiting = this.#waiting
    if (waiting.length === 0 || this.#opened === undefined) return
    this.#waiting = []
    this.#flushes++
    const operations = waiting.flatMap((write) => write.operations)
    try {
      this.#refuseCrashed(this.#opened.crashes)
      this.#disk.apply(this.#opened.boot, operations)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      this.#dead = error
      for (const write of waiting) write.reject(error)
      return
    }
    this.#writes += waiting.length
    this.#rowsWritten += operations.length
    for (const write of waiting) write.resolve()
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StoreError('closed', 'the store is closed: open another one on the same disk')
  }

  #refuseCrashed(crashes: number): void {
    if (crashes !== this.#disk.crashes) throw new StoreError('unavailable', 'the memory disk crashed: open another store on it')
  }

  #usable(): Opened {
    this.#refuseClosed()
    if (this.#dead !== undefined) throw this.#dead
    if (this.#opened === undefined) throw new StoreError('closed', 'the store is not open yet')
    this.#refuseCrashed(this.#opened.crashes)
    return this.#opened
  }
}

/** A disk keeps its own bytes: whoever wrote them may use the buffer again, or let a large one go. */
function copy(operation: StoreOperation): StoreOperation {
  if (operation.op === 'meta') return { ...operation, value: new Uint8Array(operation.value) }
  if (operation.op === 'slot') return { ...operation, header: new Uint8Array(operation.header), entry: new Uint8Array(operation.entry) }
  return operation
}
