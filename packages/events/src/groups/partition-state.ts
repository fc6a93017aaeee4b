/**
 * How far one partition of a group is. Open, which means to be delivered, is an event that was replayed and not settled since, or
 * that lies above `settled` and was not settled by itself.
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import { keyFromBytes, keyToBytes, readMany, writePositions, type Failure, type SettledPart } from './group-command.ts'
import { groupFormat } from './group-limits.ts'

export interface Parked {
  readonly attempts: number
  /** The name of its key: later events of the key are parked, too. */
  readonly key: string
  /** In which it was parked. */
  readonly generation: number
  readonly reason: string
}

/** What a partition may do is decided by its group. */
export interface SettleRules {
  readonly generation: number
  readonly attemptsMax: number
  /** Whether one more event may be set aside. */
  readonly hasRoom: () => boolean
}

/** For readers. */
export interface PartitionView {
  /** Everything at or below is settled, but what is in `reopened`. */
  readonly settled: number
  /** Settled, above `settled`. */
  readonly above: ReadonlySet<number>
  /** Failed deliveries of open events, by position. */
  readonly attempts: ReadonlyMap<number, number>
  /** Replayed and open, ascending by position, with the generation that began with the replay. */
  readonly reopened: ReadonlyMap<number, number>
  /** In no order. */
  readonly parked: ReadonlyMap<number, Parked>
  /** An event that could not be parked, as the group had too many: the partition stands at it. 0: none. */
  readonly stoppedAt: number
  isOpen(position: number): boolean
}

export class PartitionState implements PartitionView {
  settled: number
  stoppedAt = 0
  readonly above = new Set<number>()
  readonly attempts = new Map<number, number>()
  reopened = new Map<number, number>()
  readonly parked = new Map<number, Parked>()
  /** Parked or replayed since they were last written. */
  readonly changed = new Set<number>()

  constructor(settled: number) {
    this.settled = settled
  }

  /** Of the group's `parkedMax`. A replayed event keeps its place until it is settled, so that it can be parked again. */
  get setAside(): number {
    return this.parked.size + this.reopened.size
  }

  isOpen(position: number): boolean {
    return this.reopened.has(position) || (position > this.settled && !this.above.has(position))
  }

  /** False when it says more than a partition remembers: then nothing changed. Saying it again changes nothing. */
  settle({ through, settled, failures }: SettledPart, rules: SettleRules): boolean {
    const room = groupFormat.settledAboveMax
    let added = 0
    for (const position of settled) if (position > Math.max(through, this.settled) && !this.above.has(position)) added++
    for (const { position } of failures) if (this.isOpen(position)) added++
    if (this.above.size + added > room || this.attempts.size + failures.length > 2 * room) return false
    for (const position of settled) this.#settle(position)
    for (const failure of failures) this.#fail(failure, rules)
    this.#raise(through)
    if (this.stoppedAt > 0 && !this.isOpen(this.stoppedAt)) this.stoppedAt = 0
    return true
  }

  /** Open again, at the head of its key. */
  reopen(position: number, generation: number): void {
    this.parked.delete(position)
    this.changed.add(position)
    this.reopened.set(position, generation)
  }

  /** After `reopen`. */
  order(): void {
    this.reopened = new Map([...this.reopened].toSorted(([a], [b]) => a - b))
  }

  encode(): Bytes {
    const writer = new ByteWriter(64).u8(1).u53(this.settled).u53(this.stoppedAt)
    writePositions(writer, [...this.above])
    writer.u32(this.attempts.size)
    for (const [position, attempts] of this.attempts) writer.u53(position).u32(attempts)
    writer.u32(this.reopened.size)
    for (const [position, generation] of this.reopened) writer.u53(position).u53(generation)
    return writer.finish()
  }

  /** Without what is parked. Throws a MalformedError. */
  static decode(bytes: Bytes): PartitionState {
    const reader = new ByteReader(bytes)
    readVersion(reader)
    const state = new PartitionState(reader.u53())
    state.stoppedAt = reader.u53()
    for (const position of readMany(reader, 8, () => reader.u53())) state.above.add(position)
    for (let left = reader.count(12); left > 0; left--) state.attempts.set(reader.u53(), reader.u32())
    for (let left = reader.count(16); left > 0; left--) state.reopened.set(reader.u53(), reader.u53())
    reader.end()
    return state
  }

  #settle(position: number): void {
    if (!this.isOpen(position)) return
    this.attempts.delete(position)
    if (!this.reopened.delete(position)) this.above.add(position)
  }

  #fail({ position, attempt, key, parks, reason }: Failure, { generation, attemptsMax, hasRoom }: SettleRules): void {
    // Settled before, so it was acknowledged, or parked already: a repetition.
    if (!this.isOpen(position)) return
    const attempts = Math.max(attempt, this.attempts.get(position) ?? 0)
    if (!parks && attempts < attemptsMax) {
      if (attempts > 0) this.attempts.set(position, attempts)
      return
    }
    if (!this.reopened.has(position) && !hasRoom()) {
      if (attempts > 0) this.attempts.set(position, attempts)
      if (this.stoppedAt === 0 || position < this.stoppedAt) this.stoppedAt = position
      return
    }
    this.#settle(position)
    this.parked.set(position, { attempts, key, generation, reason })
    this.changed.add(position)
  }

  /** Never beyond an event that is known to be open, whatever the node says. */
  #raise(through: number): void {
    let to = through
    for (const position of this.attempts.keys())
      if (position > this.settled && position <= to && !this.reopened.has(position)) to = position - 1
    if (this.stoppedAt > 0 && this.stoppedAt <= to && this.isOpen(this.stoppedAt)) to = this.stoppedAt - 1
    if (to <= this.settled) return
    this.settled = to
    for (const position of this.above) if (position <= to) this.above.delete(position)
  }
}

export function encodeParked({ attempts, key, generation, reason }: Parked): Bytes {
  return new ByteWriter(64).u8(1).u32(attempts).raw(keyToBytes(key)).u53(generation).string(reason).finish()
}

/** Throws a MalformedError. */
export function decodeParked(bytes: Bytes): Parked {
  const reader = new ByteReader(bytes)
  readVersion(reader)
  const parked = { attempts: reader.u32(), key: keyFromBytes(reader.raw(8)), generation: reader.u53(), reason: reader.string() }
  reader.end()
  return parked
}

/** Of a cell. */
export function readVersion(reader: ByteReader): void {
  const version = reader.u8()
  if (version !== 1) throw new MalformedError(`a cell of groups of version ${version}, this build knows 1`)
}
