import type { Expected } from '@synod/client'
import { UsageError } from './command-errors.ts'
import { readInputText } from './input-text.ts'
import { parseJsonText } from './json-text.ts'
import { runCommand, type ClusterOptions } from './run-command.ts'

export interface AppendEventOptions extends ClusterOptions {
  readonly metadata?: string
  readonly tag?: readonly string[]
  readonly id?: string
  readonly expected?: Expected
}

/** The command `append` with a stream and a type: one event. `data` is JSON text, `-` is standard input, absent it is null. */
export function appendEvent(stream: string, type: string, data: string | undefined, options: AppendEventOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const { metadata, tag, id, expected } = options
    const event = {
      type,
      data: data === undefined ? null : toJson('data', data === '-' ? await readInputText('-', inputBytesMax) : data),
      ...(metadata !== undefined && { metadata: toJson('--metadata', metadata) }),
      ...(tag !== undefined && { tags: tag }),
      ...(id !== undefined && { id }),
    }
    const { revision, position } = await client.append(stream, event, { ...(expected !== undefined && { expected }), signal })
    await output.line(
      options.json
        ? JSON.stringify({ stream, revision: Number(revision), position: Number(position) })
        : `appended at revision ${revision}, position ${position}`,
    )
  })
}

/** An event takes 1 MiB at most; white space and escapes may make its text longer. */
const inputBytesMax = 8 * 1024 * 1024

function toJson(what: string, given: string): unknown {
  try {
    return parseJsonText(given)
  } catch (error) {
    throw new UsageError(`${what} is not JSON (${(error as Error).message}): a text needs double quotes too, such as '"hello"'`)
  }
}
