/**
 * The command `groups consume`: prints events as a consumer of a group, until it is told to end. An event is acknowledged when it was
 * written to standard output: what the program behind the pipe does with it is not known here.
 */
import type { GroupDelivery } from '@synod/client'
import { EventColumns, eventJson, type TextEventType } from './event-lines.ts'
import { runCommand, type ClusterOptions } from './run-command.ts'

export interface ConsumeCommandOptions extends ClusterOptions {
  readonly consumer?: string
  readonly limit?: number
}

/** Acknowledged together, behind one write. */
const batchMax = 256

export function consumeGroup(group: string, options: ConsumeCommandOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const { consumer, limit = Infinity } = options
    const columns = new EventColumns(process.stdout)
    const lineOf = ({ event, partition, attempt, generation }: GroupDelivery<TextEventType>): string => {
      if (!options.json) return `${columns.line(event)}${attempt === 1 ? '' : `  attempt ${attempt}`}`
      return `{"event":${eventJson(event)},${JSON.stringify({ partition, attempt, generation }).slice(1)}`
    }
    let taken = 0
    let written: GroupDelivery<TextEventType>[] = []
    let acknowledging: Promise<void> | undefined
    const acknowledge = async (): Promise<void> => {
      // Behind what this turn writes.
      await new Promise((resolve) => setImmediate(resolve))
      const batch = written
      written = []
      acknowledging = undefined
      await output.flush()
      if (!output.isClosed) await Promise.all(batch.map((delivery) => delivery.ack()))
    }
    const membership = client.groups.consume(group, { ...(consumer !== undefined && { consumer }), signal })
    for await (const delivery of membership) {
      await output.line(lineOf(delivery))
      signal.throwIfAborted()
      written.push(delivery)
      acknowledging ??= acknowledge()
      if (++taken >= limit || written.length >= batchMax) await acknowledging
      if (taken >= limit) break
    }
    signal.throwIfAborted()
  })
}
