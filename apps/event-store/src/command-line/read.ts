import { EventColumns, eventJson, type TextEvent } from './event-lines.ts'
import { toFilter, type FilterOptions } from './filter-options.ts'
import { runCommand, type ClusterOptions } from './run-command.ts'

export interface ReadCommandOptions extends ClusterOptions, FilterOptions {
  readonly from?: bigint
  readonly backward?: boolean
  readonly limit?: number
  readonly local?: boolean
  readonly atLeast?: bigint
}

/** The command `read`: a stream, or all events, to the end or to a limit; nothing is held but two pages. */
export function read(stream: string | undefined, options: ReadCommandOptions): Promise<number> {
  const filter = toFilter(options, stream)
  return runCommand(options, async ({ client, output, signal }) => {
    const { from, limit, atLeast } = options
    const range = {
      ...(from !== undefined && { from }),
      ...(limit !== undefined && { limit }),
      direction: options.backward ? ('backward' as const) : ('forward' as const),
      consistency: options.local ? ('local' as const) : ('linearizable' as const),
      ...(atLeast !== undefined && { atLeast }),
      signal,
    }
    const columns = new EventColumns(process.stdout)
    const lineOf = (event: TextEvent): string => (options.json ? eventJson(event) : columns.line(event))
    const events =
      stream === undefined ? client.readAll({ ...range, ...(filter !== undefined && { filter }) }) : client.readStream(stream, range)
    for await (const event of events) {
      await output.line(lineOf(event))
      signal.throwIfAborted()
    }
    await output.flush()
    signal.throwIfAborted()
  })
}
