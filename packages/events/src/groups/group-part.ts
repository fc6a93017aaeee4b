/**
 * The machine's part for consumer groups: all groups in memory, and the commands that change them. What a command changes it
 * writes as cells, so that a flush costs what changed:
 *
 *   group/<name>                              definition, members, owners, generation
 *   group/<name>/p/<partition>                how far it is
 *   group/<name>/parked/<partition>/<position>   one parked event
 *   group-instance/<instance>                 a node's store with members, and the slot of its last heartbeat
 *
 * Nothing here knows an event: that a position is of a partition, and passes the filter, is said by the node that delivers.
 */
import { ByteReader, ByteWriter, MalformedError } from '@synod/codec'
import type { CommandAt, Envelope } from '@synod/log'
import type { CommandPart, Judged } from '../command-part.ts'
import { rebuildHint, ReadSideError, type Cell, type ReadSide } from '../read-side.ts'
import type { SlotBuilder } from '../slot-builder.ts'
import { readGroupCommand, type GroupCommand } from './group-command.ts'
import { groupFormat } from './group-limits.ts'
import { GroupState, memberId, type GroupView } from './group-state.ts'
import type { GroupVerdict } from './group-verdict.ts'
import { decodeParked, encodeParked, PartitionState } from './partition-state.ts'

export interface GroupInstance {
  readonly node: string
  /** The slot of its last heartbeat, or of its first join: grows with every one. */
  readonly seen: number
}

/** For the node's own use: what was applied so far. */
export interface GroupsView {
  get(group: string): GroupView | undefined
  all(): Iterable<GroupView>
  instances(): ReadonlyMap<string, GroupInstance>
  /** Called in the middle of applying, with the group that changed (undefined: an instance alone). To be short, and never to throw. */
  listen(listener: (group: string | undefined) => void): () => void
}

const cellsAtOnce = 1024

export class GroupPart implements CommandPart<GroupCommand>, GroupsView {
  readonly #readSide: Pick<ReadSide, 'cells'>
  readonly #builder: Pick<SlotBuilder, 'cell'>
  readonly #head: () => number
  readonly #groups = new Map<string, GroupState>()
  readonly #instances = new Map<string, { readonly node: string; seen: number; members: number }>()
  readonly #listeners = new Set<(group: string | undefined) => void>()

  /** `head`: the last position, as of the command that is judged. */
  constructor(readSide: Pick<ReadSide, 'cells'>, builder: Pick<SlotBuilder, 'cell'>, head: () => number) {
    this.#readSide = readSide
    this.#builder = builder
    this.#head = head
  }

  get(group: string): GroupView | undefined {
    return this.#groups.get(group)
  }

  all(): Iterable<GroupView> {
    return this.#groups.values()
  }

  instances(): ReadonlyMap<string, GroupInstance> {
    return this.#instances
  }

  listen(listener: (group: string | undefined) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async open(): Promise<void> {
    this.#groups.clear()
    this.#instances.clear()
    try {
      await this.#load()
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      throw new ReadSideError('damaged', `a cell of consumer groups does not decode: ${error.message}. ${rebuildHint}`, {
        cause: error,
      })
    }
  }

  async #load(): Promise<void> {
    for await (const { key, value } of this.#cells('group-instance/')) {
      const reader = new ByteReader(value)
      this.#instances.set(key.slice('group-instance/'.length), { node: reader.string(), seen: reader.u53(), members: 0 })
    }
    for await (const { key, value } of this.#cells('group/')) {
      const [, name = '', what, partition, position] = key.split('/')
      const state = this.#groups.get(name)
      if (what === undefined || state === undefined) this.#groups.set(name, GroupState.decode(name, value))
      else if (what === 'p') state.loadPartition(Number(partition), PartitionState.decode(value))
      else state.loadParked(Number(partition), Number(position), decodeParked(value))
    }
    for (const { members } of this.#groups.values()) for (const { instance } of members.values()) this.#count(instance, 1)
  }

  decode(reader: ByteReader, blobs: number): GroupCommand {
    return readGroupCommand(reader, blobs)
  }

  streamsOf(): Iterable<string> {
    return []
  }

  judge(_envelope: Envelope, command: GroupCommand, at: CommandAt): Judged {
    const verdict = this.#judge(command, at)
    return { verdict: { kind: 'group', group: verdict } }
  }

  #judge(command: GroupCommand, at: CommandAt): GroupVerdict {
    if (command.form === 'put') return this.#put(command)
    if (command.form === 'heartbeat') return this.#heartbeat(command.instance, at.slot)
    if (command.form === 'expire') return this.#expire(command.instance, command.seen)
    const state = this.#groups.get(command.group)
    if (state === undefined) return { result: 'notFound' }
    switch (command.form) {
      case 'delete':
        return this.#delete(state)
      case 'join':
        return this.#join(state, command, at.slot)
      case 'leave':
        return this.#leave(state, command.instance, command.numbers)
      case 'settle':
        return this.#settle(state, command)
      case 'replay':
        return this.#done(state, state.replay(command.positions))
    }
  }

  #put({ group, definition }: Extract<GroupCommand, { form: 'put' }>): GroupVerdict {
    const known = this.#groups.get(group)
    if (known !== undefined) {
      if (!known.isSame(definition)) return { result: 'exists' }
      known.change(definition)
      return this.#done(known)
    }
    if (this.#groups.size >= groupFormat.groupsMax) return { result: 'full', what: 'groups' }
    const { from } = JSON.parse(definition.fixed) as { from: number | 'end' }
    const state = new GroupState(group, definition, from === 'end' ? this.#head() : from - 1)
    this.#groups.set(group, state)
    return this.#done(state)
  }

  #delete(state: GroupState): GroupVerdict {
    const { name } = state
    this.#groups.delete(name)
    this.#builder.cell(`group/${name}`, null)
    for (const [partition, { parked }] of state.partitions()) {
      this.#builder.cell(partitionKeyOf(name, partition), null)
      for (const position of parked.keys()) this.#builder.cell(parkedKeyOf(name, partition, position), null)
    }
    for (const { instance } of state.members.values()) this.#count(instance, -1)
    this.#tell(name)
    return { result: 'done', generation: state.generation, count: 0 }
  }

  #join(state: GroupState, { instance, node, number, consumer }: Extract<GroupCommand, { form: 'join' }>, slot: number): GroupVerdict {
    const id = memberId(instance, number)
    if (!state.members.has(id)) {
      if (state.members.size >= groupFormat.consumersMax) return { result: 'full', what: 'consumers' }
      if (!this.#instances.has(instance)) {
        this.#instances.set(instance, { node, seen: slot, members: 0 })
        this.#writeInstance(instance)
      }
      state.join({ id, instance, number, consumer })
      this.#count(instance, 1)
    }
    return this.#done(state)
  }

  #leave(state: GroupState, instance: string, numbers: readonly number[]): GroupVerdict {
    this.#count(instance, -state.leave(numbers.map((number) => memberId(instance, number))))
    return this.#done(state)
  }

  #heartbeat(instance: string, slot: number): GroupVerdict {
    const known = this.#instances.get(instance)
    if (known === undefined) return { result: 'stale', generation: 0 }
    known.seen = slot
    this.#writeInstance(instance)
    this.#tell(undefined)
    return { result: 'done', generation: 0, count: 0 }
  }

  /** Refused when it was heard of since: whoever proposed it was behind. */
  #expire(instance: string, seen: number): GroupVerdict {
    const known = this.#instances.get(instance)
    if (known === undefined || known.seen !== seen) return { result: 'stale', generation: 0 }
    let count = 0
    for (const state of this.#groups.values()) {
      const ids = [...state.members.values()].filter((member) => member.instance === instance).map(({ id }) => id)
      if (ids.length === 0) continue
      count += state.leave(ids)
      this.#done(state)
    }
    this.#count(instance, -count)
    return { result: 'done', generation: 0, count }
  }

  #settle(state: GroupState, { instance, generation, parts }: Extract<GroupCommand, { form: 'settle' }>): GroupVerdict {
    if (generation !== state.generation) return { result: 'stale', generation: state.generation }
    const refused = state.settle(instance, parts)
    this.#done(state)
    return { result: 'settled', generation, refused }
  }

  #done(state: GroupState, count = 0): GroupVerdict {
    const { name } = state
    if (state.isChanged) this.#builder.cell(`group/${name}`, state.encode())
    state.isChanged = false
    for (const [partition, part] of state.takeChanged()) {
      this.#builder.cell(partitionKeyOf(name, partition), part.encode())
      for (const position of part.changed) {
        const parked = part.parked.get(position)
        this.#builder.cell(parkedKeyOf(name, partition, position), parked === undefined ? null : encodeParked(parked))
      }
      part.changed.clear()
    }
    this.#tell(name)
    return { result: 'done', generation: state.generation, count }
  }

  /** An instance without members is forgotten. */
  #count(instance: string, more: number): void {
    const known = this.#instances.get(instance)
    if (known === undefined || more === 0) return
    known.members += more
    if (known.members > 0) return
    this.#instances.delete(instance)
    this.#builder.cell(`group-instance/${instance}`, null)
  }

  #writeInstance(instance: string): void {
    const { node, seen } = this.#instances.get(instance)!
    this.#builder.cell(`group-instance/${instance}`, new ByteWriter(64).string(node).u53(seen).finish())
  }

  #tell(group: string | undefined): void {
    for (const listener of this.#listeners) listener(group)
  }

  async *#cells(prefix: string): AsyncGenerator<Cell & { readonly value: NonNullable<Cell['value']> }, void, undefined> {
    for (let after = ''; ;) {
      const cells = await this.#readSide.cells(prefix, after, cellsAtOnce)
      for (const { key, value } of cells) if (value !== null) yield { key, value }
      if (cells.length < cellsAtOnce) return
      after = cells.at(-1)?.key ?? after
    }
  }
}

function partitionKeyOf(group: string, partition: number): string {
  return `group/${group}/p/${partition}`
}

function parkedKeyOf(group: string, partition: number, position: number): string {
  return `group/${group}/parked/${partition}/${position}`
}
