/** One byte for the kind, then the fields in the order of messages.ts. Strict: what `encode` does not write, `decode` refuses. */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { readBallot, writeBallot, type Ballot } from './ballot.ts'
import type { PaxosMessage, ProposedSlot, ReportedSlot } from './messages.ts'

const kinds = [
  'prepare',
  'promise',
  'accept',
  'accepted',
  'nack',
  'chosen',
  'decision',
  'ahead',
  'preVote',
  'preVoteReply',
  'heartbeat',
  'heartbeatAck',
  'commit',
  'offer',
  'offerReply',
  'read',
  'readReply',
  'takeOver',
  'status',
  'statusAck',
] as const satisfies readonly PaxosMessage['kind'][]

const proposedBytesMin = 8 + 4
const reportedBytesMin = 8 + 8 + 1 + 4

export function messageCodec(members: readonly NodeId[]): { encode(message: PaxosMessage): Bytes; decode(bytes: Bytes): PaxosMessage } {
  return {
    encode(message) {
      const writer = new ByteWriter(64 + entryBytes(message))
      writer.u8(kinds.indexOf(message.kind))
      write(writer, message, members)
      return writer.finish()
    },
    decode(bytes) {
      const reader = new ByteReader(bytes)
      const kind = kinds[reader.u8()]
      if (kind === undefined) throw new MalformedError('a Paxos message of an unknown kind')
      const message = read(reader, kind, members)
      reader.end()
      return message
    },
  }
}

function entryBytes(message: PaxosMessage): number {
  if (message.kind === 'promise') return message.slots.reduce((sum, slot) => sum + slot.entry.length + 40, 0)
  if (message.kind === 'accept') return message.slots.reduce((sum, slot) => sum + slot.entry.length + 16, 0)
  return 'entry' in message ? message.entry.length : 0
}

function write(writer: ByteWriter, message: PaxosMessage, members: readonly NodeId[]): void {
  if ('ballot' in message) writeBallot(writer, message.ballot, members)
  if ('boot' in message) writer.u53(message.boot)
  switch (message.kind) {
    case 'prepare':
      writer.bool(message.scope === 'slot').u53(message.index)
      break
    case 'promise':
      writer.u53(message.index).u53(message.decidedThrough).u32(message.slots.length)
      for (const slot of message.slots) {
        writer.u53(slot.index)
        writeBallot(writer, slot.ballot, members)
        writer.bool(slot.decided).bytes(slot.entry)
      }
      break
    case 'accept':
      writer.u53(message.commit).u32(message.slots.length)
      for (const slot of message.slots) writer.u53(slot.index).bytes(slot.entry)
      break
    case 'accepted':
      writer.u32(message.indexes.length)
      for (const index of message.indexes) writer.u53(index)
      break
    case 'nack':
      writer.u53(message.index)
      writeBallot(writer, message.promised, members)
      break
    case 'chosen':
      writer.u53(message.index)
      break
    case 'decision':
      writer.u53(message.index).bytes(message.entry)
      break
    case 'ahead':
      writer.u53(message.decidedThrough)
      break
    case 'preVote':
      writer.u53(message.nonce).u53(message.decidedThrough)
      break
    case 'preVoteReply':
      writer.u53(message.nonce).bool(message.granted).u53(message.decidedThrough)
      writeBallot(writer, message.promised, members)
      break
    case 'heartbeat':
      writer.u53(message.sequence).u53(message.commit)
      break
    case 'heartbeatAck':
    case 'status':
      writer.u53(message.sequence).u53(message.decidedThrough)
      break
    case 'commit':
      writer.u53(message.commit)
      break
    case 'offer':
      writer.u53(message.id).bytes(message.entry)
      break
    case 'offerReply':
      writer.u53(message.id).bool(message.offered).u53(message.commit)
      break
    case 'read':
      writer.u53(message.id)
      break
    case 'readReply':
      writer.u53(message.id).bool(message.index !== undefined)
      if (message.index !== undefined) writer.u53(message.index)
      break
    case 'takeOver':
      break
    case 'statusAck':
      writer.u53(message.sequence).u53(message.decidedThrough).u53(message.high)
      break
  }
}

// The fields of a literal are evaluated in the order in which they are written, which is the order on the wire.
function read(reader: ByteReader, kind: PaxosMessage['kind'], members: readonly NodeId[]): PaxosMessage {
  const ballot = (): Ballot => readBallot(reader, members)
  switch (kind) {
    case 'prepare':
      return { kind, ballot: proposer(ballot()), scope: reader.bool() ? 'slot' : 'suffix', index: slotIndex(reader) }
    case 'promise':
      return {
        kind,
        ballot: proposer(ballot()),
        index: slotIndex(reader),
        decidedThrough: reader.u53(),
        slots: reportedSlots(reader, ballot),
      }
    case 'accept':
      return { kind, ballot: proposer(ballot()), commit: reader.u53(), slots: proposedSlots(reader) }
    case 'accepted': {
      const accepted = { kind, ballot: proposer(ballot()), indexes: Array.from({ length: reader.count(8) }, () => slotIndex(reader)) }
      ascending(accepted.indexes)
      return accepted
    }
    case 'nack':
      return { kind, ballot: proposer(ballot()), index: reader.u53(), promised: proposer(ballot()) }
    case 'chosen':
      return { kind, ballot: proposer(ballot()), index: slotIndex(reader) }
    case 'decision':
      return { kind, index: slotIndex(reader), entry: reader.bytes() }
    case 'ahead':
      return { kind, decidedThrough: reader.u53() }
    case 'preVote':
      return { kind, boot: reader.u53(), nonce: reader.u53(), decidedThrough: reader.u53() }
    case 'preVoteReply':
      return { kind, boot: reader.u53(), nonce: reader.u53(), granted: reader.bool(), decidedThrough: reader.u53(), promised: ballot() }
    case 'heartbeat':
      return { kind, ballot: proposer(ballot()), sequence: reader.u53(), commit: reader.u53() }
    case 'heartbeatAck':
      return { kind, ballot: proposer(ballot()), sequence: reader.u53(), decidedThrough: reader.u53() }
    case 'commit':
      return { kind, ballot: proposer(ballot()), commit: reader.u53() }
    case 'offer':
      return { kind, boot: reader.u53(), id: reader.u53(), entry: reader.bytes() }
    case 'offerReply':
      return { kind, ballot: ballot(), boot: reader.u53(), id: reader.u53(), offered: reader.bool(), commit: reader.u53() }
    case 'read':
      return { kind, boot: reader.u53(), id: reader.u53() }
    case 'readReply': {
      const reply = { kind, boot: reader.u53(), id: reader.u53() }
      return reader.bool() ? { ...reply, index: reader.u53() } : reply
    }
    case 'takeOver':
      return { kind, ballot: proposer(ballot()) }
    case 'status':
      return { kind, boot: reader.u53(), sequence: reader.u53(), decidedThrough: reader.u53() }
    case 'statusAck':
      return { kind, boot: reader.u53(), sequence: reader.u53(), decidedThrough: reader.u53(), high: reader.u53() }
  }
}

function proposer(ballot: Ballot): Ballot {
  if (ballot.round === 0) throw new MalformedError('no ballot where one is needed')
  return ballot
}

function slotIndex(reader: ByteReader): Index {
  const index = reader.u53()
  if (index === 0) throw new MalformedError('index 0')
  return index
}

function reportedSlots(reader: ByteReader, ballot: () => Ballot): ReportedSlot[] {
  const slots = Array.from({ length: reader.count(reportedBytesMin) }, () => ({
    index: slotIndex(reader),
    ballot: ballot(),
    decided: reader.bool(),
    entry: reader.bytes(),
  }))
  if (slots.some((slot) => slot.ballot.round === 0 && !slot.decided)) throw new MalformedError('an accepted slot without its ballot')
  ascending(slots.map((slot) => slot.index))
  return slots
}

function proposedSlots(reader: ByteReader): ProposedSlot[] {
  const slots = Array.from({ length: reader.count(proposedBytesMin) }, () => ({ index: slotIndex(reader), entry: reader.bytes() }))
  ascending(slots.map((slot) => slot.index))
  return slots
}

function ascending(indexes: readonly Index[]): void {
  for (let at = 1; at < indexes.length; at++) {
    if (indexes[at - 1]! >= indexes[at]!) throw new MalformedError(`index ${indexes[at]} after ${indexes[at - 1]}`)
  }
}
