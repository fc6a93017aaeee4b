import type { Client, SubscriptionMessage } from '@synod/client'
import { CheckpointFile } from './checkpoint-file.ts'
import { CheckpointKeeper } from './checkpoint-keeper.ts'
import { EventColumns, eventJson, type TextEventType } from './event-lines.ts'
import { toFilter, type FilterOptions } from './filter-options.ts'
import { runCommand, type ClusterOptions } from './run-command.ts'

export interface SubscribeCommandOptions extends ClusterOptions, FilterOptions {
  readonly from?: bigint
  readonly after?: bigint
  readonly untilCaughtUp?: boolean
  readonly checkpointFile?: string
}

/** The command `subscribe`: what is there, then what comes, until it is told to end. */
export function subscribe(stream: string | undefined, options: SubscribeCommandOptions): Promise<number> {
  const filter = toFilter(options, stream)
  return runCommand(options, async ({ client, output, signal, note }) => {
    const checkpoint = options.checkpointFile === undefined ? undefined : await CheckpointFile.open(options.checkpointFile, stream, filter)
    const keeper = checkpoint && new CheckpointKeeper(checkpoint, output)
    const columns = new EventColumns(process.stdout)
    try {
      const range = {
        ...(stream !== undefined && { stream }),
        ...(filter !== undefined && { filter }),
        ...startOf(options, checkpoint),
        signal,
      }
      for await (const message of client.subscribe(range)) {
        checkpoint?.requireCluster(clusterOf(client))
        if (options.json) await output.line(messageJson(message))
        else if (message.kind === 'event') await output.line(columns.line(message.event))
        else if (message.kind === 'caughtUp') note(`caught up at position ${message.position}`)
        else if (message.kind === 'fellBehind') note(`fell behind by ${message.lag} at position ${message.position}`)
        signal.throwIfAborted()
        const isEnd = options.untilCaughtUp === true && message.kind === 'caughtUp'
        // What fell behind has delivered nothing.
        if (message.kind !== 'fellBehind') keeper?.reached(message.kind === 'event' ? message.event.position : message.position)
        if (isEnd) break
      }
      await output.flush()
      signal.throwIfAborted()
    } finally {
      await keeper?.end()
    }
  })
}

/** The file wins once it is there: that is what it is for. */
function startOf(options: SubscribeCommandOptions, checkpoint: CheckpointFile | undefined): { after?: bigint; from?: bigint } {
  const after = checkpoint?.position ?? options.after
  if (after !== undefined) return { after }
  return options.from === undefined ? {} : { from: options.from }
}

/** Every node says it when it greets, before it delivers anything. */
function clusterOf(client: Pick<Client, 'status'>): string {
  const { cluster } = client.status()
  if (cluster === undefined) throw new Error('a message came from a node that has not greeted')
  return cluster
}

function messageJson(message: SubscriptionMessage<TextEventType>): string {
  switch (message.kind) {
    case 'event':
      return `{"kind":"event","event":${eventJson(message.event)}}`
    case 'fellBehind':
      return JSON.stringify({ kind: 'fellBehind', position: Number(message.position), lag: Number(message.lag) })
    default:
      return JSON.stringify({ kind: message.kind, position: Number(message.position) })
  }
}
