/**
 * The one writer of a store. Writes that are called while a transaction is under way wait and then go together into the next
 * one (group commit), in the order of the calls; one transaction is under way at a time, since the next would wait for the
 * fence row anyway.
 *
 * An answer that does not come says nothing about the write. The next thing done is then always the same: a new connection
 * takes the fence row's lock, which waits for whatever still runs, and reads the row under it:
 *
 *   boot is another's               another process owns the store         → `fenced`
 *   write_sequence is this write's  it happened                            → acknowledged
 *   ... is the one before           it did not, and cannot any more, since → written, before the lock is let go
 *                                   it asks for that number too
 *   ... is any other                the database forgot what it had said   → `damaged`
 *
 * Visible means durable: Postgres shows a commit after its WAL is flushed, and flushes what it recovered before it opens.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError, type Epoch, type Index, type StoreCommit, type StoreOperation } from '@synod/log'
import { mergeOperations, operationBytes, type Merged } from './operation-merge.ts'
import { isPassing, storeErrorOf } from './postgres-failure.ts'
import type { CheckedOptions } from './postgres-log-store-options.ts'
import { PieceFiller, type PieceFill } from './piece-filler.ts'
import type { PieceDirectory } from './piece-directory.ts'
import { addPiece } from './piece-tables.ts'
import { connectForWriting, type WriteConnection } from './write-connection.ts'
import { writeStatements, type WriteStatement } from './write-statement.ts'

/** Pieces that are written to on one connection. */
const piecesAConnection = 64

interface WaitingWrite {
  readonly operations: readonly StoreOperation[]
  readonly bytes: number
  resolve(): void
  reject(error: StoreError): void
}

export interface WriterOptions {
  readonly settings: CheckedOptions
  readonly boot: number
  /** The write sequence that was found at the opening. */
  readonly sequence: number
  readonly connection: WriteConnection
  readonly directory: PieceDirectory
  /** How full the last piece of each epoch was found. */
  readonly fill: ReadonlyMap<Epoch, PieceFill>
  /** Told once, before any write is rejected. */
  readonly onDeath: (error: StoreError) => void
  readonly onCommit: (commit: StoreCommit) => void
}

export class FencedWriter {
  readonly #options: WriterOptions
  readonly #statement: (sequence: number, merged: Merged) => WriteStatement
  readonly #filler: PieceFiller
  #connection: WriteConnection | undefined
  #sequence: number
  #waiting: WaitingWrite[] = []
  #outstandingBytes = 0
  /** When the transaction under way began; undefined while there is none. */
  #begun: number | undefined
  #running: Promise<void> | undefined
  #dead: StoreError | undefined
  readonly #counters = {
    transactions: 0,
    writes: 0,
    rows_written: 0,
    bytes_written: 0,
    reconnects: 0,
    unknown_commits: 0,
    unknown_commits_done: 0,
    pieces_added: 0,
  }

  constructor(options: WriterOptions) {
    this.#options = options
    this.#connection = options.connection
    this.#sequence = options.sequence
    this.#statement = writeStatements(options.settings.schema, options.boot, options.directory)
    this.#filler = new PieceFiller(options.directory, options.fill, options.settings.pieceBytes)
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead)
    const bytes = operations.reduce((sum, operation) => sum + operationBytes(operation), 0)
    const { outstandingBytesMax } = this.#options.settings
    if (this.#outstandingBytes > 0 && this.#outstandingBytes + bytes > outstandingBytesMax) {
      return Promise.reject(
        this.#die(
          new StoreError(
            'unavailable',
            `more than outstandingBytesMax (${outstandingBytesMax}) bytes wait for the disk of Postgres: it does not keep up`,
          ),
        ),
      )
    }
    this.#outstandingBytes += bytes
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ operations, bytes, resolve, reject })
    this.#running ??= this.#run()
    return promise
  }

  counters(): Readonly<Record<string, number>> {
    const { outstandingBytesMax } = this.#options.settings
    return {
      ...this.#counters,
      commit_under_way_ms: this.#begun === undefined ? 0 : performance.now() - this.#begun,
      outstanding_bytes: this.#outstandingBytes,
      outstanding_bytes_max: outstandingBytesMax,
      write_sequence: this.#sequence,
    }
  }

  /** Resolves when every write has its answer. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running
    const connection = this.#connection
    this.#connection = undefined
    await connection?.end()
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // What its caller still calls for goes along. Not what the whole turn does: callers collect their turn themselves.
      await Promise.resolve()
      if (this.#dead !== undefined) break
      const group = this.#takeGroup()
      try {
        await this.#commit(group)
      } catch (error) {
        const reason = this.#die(storeErrorOf(error))
        for (const write of group) write.reject(reason)
        break
      }
      for (const write of group) {
        this.#outstandingBytes -= write.bytes
        write.resolve()
      }
    }
    this.#running = undefined
  }

  #takeGroup(): WaitingWrite[] {
    let bytes = 0
    let count = 0
    for (const write of this.#waiting) {
      bytes += write.bytes
      if (count > 0 && bytes > this.#options.settings.transactionBytesMax) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #commit(group: readonly WaitingWrite[]): Promise<void> {
    const merged = mergeOperations(group.flatMap((write) => write.operations))
    const begun = performance.now()
    this.#begun = begun
    for (const { epoch, from } of this.#filler.missing(merged.slots)) await this.#addPiece(epoch, from)
    const statement = this.#statement(this.#sequence + 1, merged)
    if (!(await this.#tryAtOnce(statement))) await this.#settle(statement)
    this.#begun = undefined
    this.#sequence++
    this.#filler.onWritten(merged.slots)
    const bytes = group.reduce((sum, write) => sum + write.bytes, 0)
    this.#counters.transactions++
    this.#counters.writes += group.length
    this.#counters.rows_written += merged.slots.length + merged.meta.length
    this.#counters.bytes_written += bytes
    this.#options.onCommit({ milliseconds: performance.now() - begun, writes: group.length, bytes })
  }

  /** The ordinary way: one statement. False when it is not known to be durable. */
  async #tryAtOnce(statement: WriteStatement): Promise<boolean> {
    if (this.#connection === undefined) return false
    try {
      const { rowCount } = await this.#connection.client.query(statement)
      return rowCount === 1
    } catch (error) {
      if (!isPassing(error)) throw error
      this.#counters.unknown_commits++
      return false
    }
  }

  /** Between two writes, so that nothing is under way that could belong to it: some milliseconds for each `pieceBytes`. */
  async #addPiece(epoch: Epoch, from: Index): Promise<void> {
    const { settings, boot, directory } = this.#options
    const add = async ({ client }: WriteConnection): Promise<void> => {
      directory.replace([], [await addPiece(client, settings.schema, boot, epoch, from)])
    }
    this.#counters.pieces_added++
    // Each piece has prepared statements of its own, which last as long as their connection.
    if (this.#counters.pieces_added % piecesAConnection !== 0 && this.#connection !== undefined) {
      try {
        await add(this.#connection)
        return
      } catch (error) {
        if (!isPassing(error)) throw error
      }
    }
    await this.#onNewConnection(add)
  }

  /** Finds out whether the statement was done, and does it if it was not. */
  #settle(statement: WriteStatement): Promise<void> {
    return this.#onNewConnection((connection) => this.#settleOn(connection, statement))
  }

  /** What is done must be found out to be done already, if an attempt before did it. */
  async #onNewConnection(run: (connection: WriteConnection) => Promise<void>): Promise<void> {
    const { reconnectTimeoutMs, statementTimeoutMs } = this.#options.settings
    const deadline = performance.now() + reconnectTimeoutMs
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 500)) {
      if (this.#dead !== undefined) throw this.#dead
      this.#connection?.cut()
      this.#connection = undefined
      try {
        const left = Math.max(1, Math.ceil(deadline - performance.now()))
        const options = { ...this.#options.settings, statementTimeoutMs: Math.min(statementTimeoutMs, left) }
        const connection = await connectForWriting(options, () => {}) // warned when it was opened
        this.#connection = connection
        this.#counters.reconnects++
        await run(connection)
        return
      } catch (error) {
        if (!isPassing(error)) throw error
        if (performance.now() + pauseMs > deadline) {
          throw new StoreError(
            'unavailable',
            `a write got no answer, and Postgres could not be asked about it within ${reconnectTimeoutMs} ms (reconnectTimeoutMs): see that it runs, then start this node again: ${String(error)}`,
            { cause: error },
          )
        }
      }
      await sleep(pauseMs)
    }
  }

  async #settleOn({ client }: WriteConnection, statement: WriteStatement): Promise<void> {
    const { boot, settings } = this.#options
    await client.query('begin')
    const { rows } = await client.query<{ boot: string; write_sequence: string }>(
      `select boot, write_sequence from "${settings.schema}".fence for update`,
    )
    const found = { boot: Number(rows[0]?.boot), sequence: Number(rows[0]?.write_sequence) }
    if (found.boot !== boot) {
      throw new StoreError(
        'fenced',
        `this store was opened as boot ${boot} and then as boot ${found.boot}: one process may own it, stop this one`,
      )
    }
    if (found.sequence === this.#sequence + 1) {
      await client.query('rollback')
      this.#counters.unknown_commits_done++
      return
    }
    if (found.sequence !== this.#sequence) {
      throw new StoreError(
        'damaged',
        `Postgres had acknowledged write ${this.#sequence} and now says that the last one was ${found.sequence}: it lost or was given other data; repair this node from its peers`,
      )
    }
    const { rowCount } = await client.query(statement)
    if (rowCount !== 1) {
      throw new StoreError(
        'unsafe_settings',
        `Postgres does not take write ${this.#sequence + 1} although the store is ours: see that fsync, full_page_writes and synchronous_commit are on`,
      )
    }
    await client.query('commit')
  }

  #die(error: StoreError): StoreError {
    if (this.#dead === undefined) {
      this.#dead = error
      this.#options.onDeath(error)
      this.#connection?.cut()
      this.#connection = undefined
      for (const write of this.#waiting.splice(0)) write.reject(error)
    }
    return this.#dead
  }
}
