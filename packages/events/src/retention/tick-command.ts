/**
 * A node's clock and progress, as it tells them to all.
 *
 *   tick = node string · clock u53 (milliseconds since 1970) · flushed u53 (slot) · voters u8 · [voter string]…   ascending
 */
import { MalformedError, type ByteReader, type Bytes } from '@synod/codec'
import type { Slot } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { kindWriter } from '../command-kinds.ts'

const nodeBytesMax = 64
/** More than any cluster has, and few enough for every tick. */
const tickVotersMax = 64

export interface Tick {
  readonly node: NodeId
  /** Of the node that tells it, in milliseconds since 1970. */
  readonly clock: number
  /** The node has flushed up to here. */
  readonly flushed: Slot
  /** As the node knows them, itself included; ascending. */
  readonly voters: readonly NodeId[]
}

/** With its kind. */
export function encodeTick({ node, clock, flushed, voters }: Tick): Bytes {
  const writer = kindWriter('tick').string(node).u53(clock).u53(flushed).u8(voters.length)
  for (const voter of voters) writer.string(voter)
  return writer.finish()
}

/** Behind its kind, to the reader's end. Throws a MalformedError; whether it does is the same on every node. */
export function readTick(reader: ByteReader, blobs: number): Tick {
  if (blobs > 0) throw new MalformedError(`${blobs} blobs with a tick`)
  const node = reader.string(nodeBytesMax)
  const clock = reader.u53()
  const flushed = reader.u53()
  const count = reader.u8()
  if (count > tickVotersMax) throw new MalformedError(`${count} voters`)
  const voters: NodeId[] = []
  for (let left = count; left > 0; left--) {
    const voter = reader.string(nodeBytesMax)
    if (voter <= (voters.at(-1) ?? '')) throw new MalformedError('voters that do not ascend')
    voters.push(voter)
  }
  if (!voters.includes(node)) throw new MalformedError(`a tick of ${JSON.stringify(node)}, which is no voter`)
  reader.end()
  return { node, clock, flushed, voters }
}
