/**
 * One group, as the log has it: a pure state machine. Its generation counts up whenever a partition changes hands or an event is
 * replayed; what is said of an earlier generation, or by another than the partition's owner, changes nothing.
 *
 * `settled` positions of a partition that was never told of are the group's `start`.
 */
import { ByteReader, ByteWriter, type Bytes } from '@synod/codec'
import type { GroupDefinition } from './consumer-groups.ts'
import { assign } from './assignment.ts'
import { readMany, type SettledPart } from './group-command.ts'
import { readDefinition, wholeDefinition, writeDefinition, type DefinitionParts } from './group-definition.ts'
import { PartitionState, readVersion, type Parked, type PartitionView } from './partition-state.ts'

export interface GroupMember {
  /** `memberId(instance, number)`. */
  readonly id: string
  readonly instance: string
  readonly number: number
  /** The consumer's name. */
  readonly consumer: string
}

export function memberId(instance: string, number: number): string {
  return `${instance}/${number}`
}

/** For readers: it changes with every command. */
export interface GroupView {
  readonly name: string
  readonly definition: Required<GroupDefinition>
  readonly generation: number
  /** By id, in the order in which they joined. */
  readonly members: ReadonlyMap<string, GroupMember>
  /** By partition: a member's id. */
  readonly owners: readonly (string | undefined)[]
  /** Events that are parked, or replayed and not settled since: at most `parkedMax`. */
  readonly setAside: number
  readonly parked: number
  partition(partition: number): PartitionView
}

export class GroupState implements GroupView {
  readonly name: string
  readonly start: number
  generation = 0
  setAside = 0
  parked = 0
  members = new Map<string, GroupMember>()
  owners: readonly (string | undefined)[]
  /** Since they were last written. */
  isChanged = true
  #parts: DefinitionParts
  #definition: Required<GroupDefinition>
  readonly #partitions: (PartitionState | undefined)[]
  readonly #untold: PartitionState
  readonly #changed = new Set<number>()

  constructor(name: string, parts: DefinitionParts, start: number) {
    this.name = name
    this.start = start
    this.#parts = parts
    this.#definition = wholeDefinition(parts)
    this.owners = Array.from({ length: this.#definition.partitions }, () => undefined)
    this.#partitions = Array.from({ length: this.#definition.partitions }, () => undefined)
    this.#untold = new PartitionState(start)
  }

  get definition(): Required<GroupDefinition> {
    return this.#definition
  }

  partition(partition: number): PartitionView {
    return this.#partitions[partition] ?? this.#untold
  }

  /** Those that were told of. */
  *partitions(): Iterable<readonly [number, PartitionState]> {
    for (const [partition, state] of this.#partitions.entries()) if (state !== undefined) yield [partition, state]
  }

  /** As `partitions`, those that changed since this was asked last. */
  *takeChanged(): Iterable<readonly [number, PartitionState]> {
    for (const partition of this.#changed) {
      const state = this.#partitions[partition]
      if (state !== undefined) yield [partition, state]
    }
    this.#changed.clear()
  }

  isSame(parts: DefinitionParts): boolean {
    return parts.fixed === this.#parts.fixed
  }

  change(parts: DefinitionParts): void {
    this.#parts = parts
    this.#definition = wholeDefinition(parts)
    this.isChanged = true
  }

  join(member: GroupMember): void {
    if (this.members.has(member.id)) return
    this.members.set(member.id, member)
    this.isChanged = true
    this.#assign()
  }

  /** How many were members. */
  leave(ids: readonly string[]): number {
    const gone = ids.filter((id) => this.members.delete(id)).length
    if (gone === 0) return 0
    this.isChanged = true
    this.#assign()
    return gone
  }

  /** The partitions of which nothing changed, as they are not their member's. */
  settle(instance: string, parts: readonly SettledPart[]): readonly number[] {
    const { attemptsMax, parkedMax } = this.#definition
    const refused: number[] = []
    for (const part of parts) {
      if (part.partition >= this.owners.length || this.owners[part.partition] !== memberId(instance, part.number)) {
        refused.push(part.partition)
        continue
      }
      const state = this.#writable(part.partition)
      const [setAside, parked] = [state.setAside, state.parked.size]
      const others = this.setAside - setAside
      const hasRoom = (): boolean => others + state.setAside < parkedMax
      if (!state.settle(part, { generation: this.generation, attemptsMax, hasRoom })) refused.push(part.partition)
      this.setAside += state.setAside - setAside
      this.parked += state.parked.size - parked
    }
    return refused
  }

  /** How many. */
  replay(positions: readonly number[] | undefined): number {
    const wanted = positions === undefined ? undefined : new Set(positions)
    let replayed = 0
    for (const [partition, state] of this.partitions()) {
      const found = [...state.parked.keys()].filter((position) => wanted === undefined || wanted.has(position))
      if (found.length === 0) continue
      for (const position of found) state.reopen(position, this.generation + 1)
      state.order()
      this.#changed.add(partition)
      replayed += found.length
    }
    this.parked -= replayed
    if (replayed > 0) this.#newGeneration()
    return replayed
  }

  #assign(): void {
    const owners = assign(this.owners, [...this.members.keys()])
    if (owners.every((owner, partition) => owner === this.owners[partition])) return
    this.owners = owners
    this.#newGeneration()
  }

  #newGeneration(): void {
    this.generation++
    this.isChanged = true
    // What was to be parked is delivered again, and may be acknowledged this time.
    for (const [partition, state] of this.partitions()) {
      if (state.stoppedAt === 0) continue
      state.stoppedAt = 0
      this.#changed.add(partition)
    }
  }

  #writable(partition: number): PartitionState {
    this.#changed.add(partition)
    return (this.#partitions[partition] ??= new PartitionState(this.start))
  }

  /** Without the partitions. */
  encode(): Bytes {
    const writer = new ByteWriter(256).u8(1)
    writeDefinition(writer, this.#parts)
    writer.u53(this.start).u53(this.generation).u32(this.members.size)
    const places = new Map<string, number>()
    for (const { id, instance, number, consumer } of this.members.values()) {
      places.set(id, places.size + 1)
      writer.string(instance).u32(number).string(consumer)
    }
    for (const owner of this.owners) writer.u16(owner === undefined ? 0 : places.get(owner)!)
    return writer.finish()
  }

  /** Throws a MalformedError. */
  static decode(name: string, bytes: Bytes): GroupState {
    const reader = new ByteReader(bytes)
    readVersion(reader)
    const state = new GroupState(name, readDefinition(reader), reader.u53())
    state.generation = reader.u53()
    const ids: string[] = []
    readMany(reader, 12, () => {
      const [instance, number, consumer] = [reader.string(), reader.u32(), reader.string()]
      const id = memberId(instance, number)
      ids.push(id)
      state.members.set(id, { id, instance, number, consumer })
    })
    state.owners = state.owners.map(() => ids[reader.u16() - 1])
    reader.end()
    state.isChanged = false
    return state
  }

  /** At a start. */
  loadPartition(partition: number, state: PartitionState): void {
    this.#partitions[partition] = state
    this.setAside += state.setAside
  }

  loadParked(partition: number, position: number, parked: Parked): void {
    const state = (this.#partitions[partition] ??= new PartitionState(this.start))
    state.parked.set(position, parked)
    this.setAside++
    this.parked++
  }
}
