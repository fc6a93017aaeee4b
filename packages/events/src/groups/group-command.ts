/**
 * The commands of consumer groups (kind 4 of command-kinds.ts). A member is a consumer's place in a group: (instance, number), where
 * an instance is one life of a node's store and never comes twice. Liveness is told by instances: a consumer that goes
 * while its node lives is said to leave by that node.
 *
 *   command = kind u8 (4) · form u8 · …
 *     1 put        group string · definition
 *     2 delete     group
 *     3 join       group · instance string · node string · number u32 · consumer string
 *     4 leave      group · instance · count u32 · number u32…
 *     5 heartbeat  instance
 *     6 expire     instance · seen u53 (the slot of the heartbeat that is the last known)
 *     7 settle     group · instance · generation u53 · count u32 · part…
 *     8 replay     group · all bool · count u32 · position u53…
 *   definition = fixed string (JSON) · ackDeadlineMs u32 · attemptsMax u32 · parkedMax u32
 *   part    = number u32 · partition u16 · through u53 · count u32 · settled u53… · count u32 · failure…
 *   failure = position u53 · attempt u32 · key 8 bytes · parks bool · reason string
 */
import { MalformedError, type ByteReader, type ByteWriter, type Bytes } from '@synod/codec'
import { kindWriter } from '../command-kinds.ts'
import { readDefinition, writeDefinition, type DefinitionParts } from './group-definition.ts'
import { groupFormat, isGroupName } from './group-limits.ts'

/** An event that was neither acknowledged nor skipped. */
export interface Failure {
  readonly position: number
  /** Deliveries so far, this one included; 0 for one that was not delivered. */
  readonly attempt: number
  /** The name of its key (partition-key.ts). */
  readonly key: string
  /** To be parked whatever the attempt is; else it is parked after the last. */
  readonly parks: boolean
  readonly reason: string
}

/** What a member says of one of its partitions. */
export interface SettledPart {
  readonly number: number
  readonly partition: number
  /** Every event of the partition at or below is settled, or in `settled`. */
  readonly through: number
  /** Acknowledged or skipped: those above `through`, and those that were replayed or failed before. */
  readonly settled: readonly number[]
  readonly failures: readonly Failure[]
}

export type GroupCommand =
  | { readonly form: 'put'; readonly group: string; readonly definition: DefinitionParts }
  | { readonly form: 'delete'; readonly group: string }
  | {
      readonly form: 'join'
      readonly group: string
      readonly instance: string
      readonly node: string
      readonly number: number
      readonly consumer: string
    }
  | { readonly form: 'leave'; readonly group: string; readonly instance: string; readonly numbers: readonly number[] }
  | { readonly form: 'heartbeat'; readonly instance: string }
  | { readonly form: 'expire'; readonly instance: string; readonly seen: number }
  | {
      readonly form: 'settle'
      readonly group: string
      readonly instance: string
      readonly generation: number
      readonly parts: readonly SettledPart[]
    }
  /** Absent positions: all. */
  | { readonly form: 'replay'; readonly group: string; readonly positions?: readonly number[] }

const keyBytes = 8

export function encodeGroupCommand(command: GroupCommand): Bytes {
  const writer = kindWriter('group', 256)
  switch (command.form) {
    case 'put':
      writeDefinition(writer.u8(1).string(command.group), command.definition)
      break
    case 'delete':
      writer.u8(2).string(command.group)
      break
    case 'join':
      writer.u8(3).string(command.group).string(command.instance).string(command.node).u32(command.number).string(command.consumer)
      break
    case 'leave':
      writer.u8(4).string(command.group).string(command.instance).u32(command.numbers.length)
      for (const number of command.numbers) writer.u32(number)
      break
    case 'heartbeat':
      writer.u8(5).string(command.instance)
      break
    case 'expire':
      writer.u8(6).string(command.instance).u53(command.seen)
      break
    case 'settle':
      writer.u8(7).string(command.group).string(command.instance).u53(command.generation).u32(command.parts.length)
      for (const part of command.parts) writePart(writer, part)
      break
    case 'replay': {
      const { positions } = command
      writer
        .u8(8)
        .string(command.group)
        .bool(positions === undefined)
      writePositions(writer, positions ?? [])
    }
  }
  return writer.finish()
}

/** After the kind. Throws a MalformedError. */
export function readGroupCommand(reader: ByteReader, blobs: number): GroupCommand {
  if (blobs > 0) throw new MalformedError(`a command of groups with ${blobs} events`)
  const command = readForm(reader.u8(), reader)
  reader.end()
  return command
}

function readForm(form: number, reader: ByteReader): GroupCommand {
  switch (form) {
    case 1:
      return { form: 'put', group: readGroup(reader), definition: readDefinition(reader) }
    case 2:
      return { form: 'delete', group: readGroup(reader) }
    case 3:
      return {
        form: 'join',
        group: readGroup(reader),
        instance: readInstance(reader),
        node: reader.string(groupFormat.nodeBytesMax),
        number: reader.u32(),
        consumer: reader.string(groupFormat.consumerBytesMax),
      }
    case 4:
      return { form: 'leave', group: readGroup(reader), instance: readInstance(reader), numbers: readMany(reader, 4, () => reader.u32()) }
    case 5:
      return { form: 'heartbeat', instance: readInstance(reader) }
    case 6:
      return { form: 'expire', instance: readInstance(reader), seen: reader.u53() }
    case 7:
      return {
        form: 'settle',
        group: readGroup(reader),
        instance: readInstance(reader),
        generation: reader.u53(),
        parts: readMany(reader, 22, () => readPart(reader)),
      }
    case 8: {
      const group = readGroup(reader)
      const isAll = reader.bool()
      const positions = readMany(reader, 8, () => reader.u53())
      if (!isAll) return { form: 'replay', group, positions }
      if (positions.length > 0) throw new MalformedError('all that is parked, and positions besides')
      return { form: 'replay', group }
    }
    default:
      throw new MalformedError(`a command of groups of form ${form}`)
  }
}

function writePart(writer: ByteWriter, { number, partition, through, settled, failures }: SettledPart): void {
  writer.u32(number).u16(partition).u53(through)
  writePositions(writer, settled)
  writer.u32(failures.length)
  for (const { position, attempt, key, parks, reason } of failures)
    writer.u53(position).u32(attempt).raw(keyToBytes(key)).bool(parks).string(reason)
}

function readPart(reader: ByteReader): SettledPart {
  return {
    number: reader.u32(),
    partition: reader.u16(),
    through: reader.u53(),
    settled: readMany(reader, 8, () => reader.u53()),
    failures: readMany(reader, 25, () => ({
      position: reader.u53(),
      attempt: reader.u32(),
      key: keyFromBytes(reader.raw(keyBytes)),
      parks: reader.bool(),
      reason: reader.string(groupFormat.reasonBytesMax),
    })),
  }
}

export function writePositions(writer: ByteWriter, positions: readonly number[]): void {
  writer.u32(positions.length)
  for (const position of positions) writer.u53(position)
}

export function readMany<T>(reader: ByteReader, itemBytesMin: number, read: () => T): T[] {
  const items: T[] = []
  for (let left = reader.count(itemBytesMin); left > 0; left--) items.push(read())
  return items
}

export function keyToBytes(key: string): Bytes {
  return Buffer.from(key, 'hex')
}

export function keyFromBytes(bytes: Bytes): string {
  return Buffer.from(bytes).toString('hex')
}

function readGroup(reader: ByteReader): string {
  const group = reader.string(128)
  if (!isGroupName(group)) throw new MalformedError('a group with a name that no group has')
  return group
}

function readInstance(reader: ByteReader): string {
  const instance = reader.string(groupFormat.instanceBytesMax)
  if (!/^[A-Za-z0-9-]+$/.test(instance)) throw new MalformedError('an instance with a name that none has')
  return instance
}
