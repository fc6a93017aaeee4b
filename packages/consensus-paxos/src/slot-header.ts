import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import { readBallot, writeBallot, type Ballot } from './ballot.ts'

/** What an acceptor knows of one slot beside its entry. */
export interface SlotHeader {
  readonly promised: Ballot
  /** `noBallot`: nothing was accepted, the entry is empty, or it was learned. */
  readonly accepted: Ballot
  /** The entry is the decision, learned from somebody who knew it. */
  readonly decided: boolean
}

const version = 1

/** header = version u8 · decided u8 · promised ballot · accepted ballot */
export function encodeSlotHeader(header: SlotHeader, members: readonly NodeId[]): Bytes {
  const writer = new ByteWriter(40)
  writer.u8(version).bool(header.decided)
  writeBallot(writer, header.promised, members)
  writeBallot(writer, header.accepted, members)
  return writer.finish()
}

/** Throws a MalformedError. */
export function decodeSlotHeader(bytes: Bytes, members: readonly NodeId[]): SlotHeader {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (format !== version) throw new MalformedError(`a Paxos slot header of version ${format}, this build knows ${version}`)
  const decided = reader.bool()
  const header = { decided, promised: readBallot(reader, members), accepted: readBallot(reader, members) }
  reader.end()
  return header
}
