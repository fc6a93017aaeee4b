/**
 * What the machine answers to a command of groups: verdict kind 11.
 *
 *   group verdict = 1 · generation u53 · count u32        done: of a replay how many, else 0
 *                 | 2                                    there is no such group
 *                 | 3                                    there is one, with another fixed part
 *                 | 4 · consumers bool                   no room for another group, or another consumer
 *                 | 5 · generation u53                   stale: of another generation, or of a member that has gone; nothing changed
 *                 | 6 · generation u53 · count u32 · partition u16…   settled, but for these partitions, of which nothing changed
 */
import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import { readMany } from './group-command.ts'

export type GroupVerdict =
  | { readonly result: 'done'; readonly generation: number; readonly count: number }
  | { readonly result: 'notFound' }
  | { readonly result: 'exists' }
  | { readonly result: 'full'; readonly what: 'groups' | 'consumers' }
  | { readonly result: 'stale'; readonly generation: number }
  | { readonly result: 'settled'; readonly generation: number; readonly refused: readonly number[] }

export function writeGroupVerdict(writer: ByteWriter, verdict: GroupVerdict): ByteWriter {
  switch (verdict.result) {
    case 'done':
      return writer.u8(1).u53(verdict.generation).u32(verdict.count)
    case 'notFound':
      return writer.u8(2)
    case 'exists':
      return writer.u8(3)
    case 'full':
      return writer.u8(4).bool(verdict.what === 'consumers')
    case 'stale':
      return writer.u8(5).u53(verdict.generation)
    case 'settled':
      writer.u8(6).u53(verdict.generation).u32(verdict.refused.length)
      for (const partition of verdict.refused) writer.u16(partition)
      return writer
  }
}

/** Throws a MalformedError. */
export function readGroupVerdict(reader: ByteReader): GroupVerdict {
  const result = reader.u8()
  switch (result) {
    case 1:
      return { result: 'done', generation: reader.u53(), count: reader.u32() }
    case 2:
      return { result: 'notFound' }
    case 3:
      return { result: 'exists' }
    case 4:
      return { result: 'full', what: reader.bool() ? 'consumers' : 'groups' }
    case 5:
      return { result: 'stale', generation: reader.u53() }
    case 6:
      return { result: 'settled', generation: reader.u53(), refused: readMany(reader, 2, () => reader.u16()) }
    default:
      throw new MalformedError(`a verdict of groups of result ${result}`)
  }
}
