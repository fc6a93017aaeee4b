/**
 * The machine's commands, by the version of their envelope:
 *
 *   1  a plain append (append-command.ts): what most commands are
 *   2  kind u8 · the rest as the kind's part says
 *
 * A version or a kind that this build does not know stops the node: a command is never skipped.
 */
import { ByteReader, ByteWriter, type Bytes } from '@synod/codec'
import type { Envelope } from '@synod/log'

export const plainAppendVersion = 1
export const kindVersion = 2

/** The numbers are in logs: they never change their meaning. */
export const commandKinds = {
  /** An append to several streams, with checks and a condition. */
  append: 1,
  /** What a stream keeps: its metadata, what is cut off, its deletion. */
  retention: 2,
  /** A node's clock and progress. */
  tick: 3,
  /** Consumer groups. */
  group: 4,
} as const

export type CommandKind = keyof typeof commandKinds

const names = new Map<number, CommandKind>(Object.entries(commandKinds).map(([name, kind]) => [kind, name as CommandKind]))

/** Begins the body of a command of the kind. */
export function kindWriter(kind: CommandKind, bytes = 64): ByteWriter {
  return new ByteWriter(bytes).u8(commandKinds[kind])
}

/** Undefined for what this build does not know: the machine halts. */
export function commandKind({ version, body }: Pick<Envelope, 'version' | 'body'>): CommandKind | undefined {
  if (version === plainAppendVersion) return 'append'
  return version === kindVersion ? names.get(body[0] ?? 0) : undefined
}

/** After the kind. Throws a MalformedError when there is none. */
export function kindReader(body: Bytes): ByteReader {
  const reader = new ByteReader(body)
  reader.u8()
  return reader
}
