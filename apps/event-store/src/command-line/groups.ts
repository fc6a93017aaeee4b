/** The commands of `groups` but for `consume`: consumer groups as they stand, made, changed and mended. */
import type { GroupDefinition, GroupStatus, GroupSummary, PartitionStatus } from '@synod/client'
import { EventColumns, eventJson } from './event-lines.ts'
import { toFilter, type FilterOptions } from './filter-options.ts'
import { printable } from './printable.ts'
import { runCommand, type ClusterOptions, type CommandRun } from './run-command.ts'

export function listGroups(options: ClusterOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    for (const group of await client.groups.list({ signal }))
      await output.line(options.json ? JSON.stringify(summaryJson(group)) : summaryLine(group))
  })
}

export function showGroup(group: string, options: ClusterOptions): Promise<number> {
  return runCommand(options, async (run) =>
    tellStatus(run, await run.client.groups.get(group, { signal: run.signal }), options.json === true),
  )
}

export interface CreateGroupOptions extends ClusterOptions, FilterOptions {
  readonly from?: bigint | 'end'
  readonly partitionByTag?: string
  readonly partitions?: number
  readonly ackDeadline?: number
  readonly attempts?: number
  readonly parkedMax?: number
}

export function createGroup(group: string, options: CreateGroupOptions): Promise<number> {
  return runCommand(options, async (run) => {
    const status = await run.client.groups.put(group, toDefinition(options), { signal: run.signal })
    await tellStatus(run, status, options.json === true)
  })
}

export function deleteGroup(group: string, options: ClusterOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    await client.groups.delete(group, { signal })
    await output.line(options.json ? JSON.stringify({ group, deleted: true }) : `deleted ${printable(group)}`)
  })
}

export interface ParkedCommandOptions extends ClusterOptions {
  readonly after?: bigint
  readonly limit?: number
}

export function parkedEvents(group: string, options: ParkedCommandOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const { after, limit } = options
    const range = { ...(after !== undefined && { after }), ...(limit !== undefined && { limit }), signal }
    const columns = new EventColumns(process.stdout)
    for await (const { event, partition, attempts, reason } of client.groups.parked(group, range)) {
      const told = JSON.stringify({ partition, attempts, reason })
      const text = `${columns.line(event)}  after ${attempts} attempts: ${printable(reason)}`
      await output.line(options.json ? `{"event":${eventJson(event)},${told.slice(1)}` : text)
    }
  })
}

export function replayParked(group: string, positions: readonly bigint[], options: ClusterOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const { replayed } = await client.groups.replay(group, { ...(positions.length > 0 && { positions }), signal })
    await output.line(
      options.json ? JSON.stringify({ group, replayed }) : `${replayed} parked event${replayed === 1 ? '' : 's'} will be delivered again`,
    )
  })
}

function toDefinition(options: CreateGroupOptions): GroupDefinition {
  const { from, partitionByTag, partitions, ackDeadline, attempts, parkedMax } = options
  const filter = toFilter(options)
  return {
    ...(filter !== undefined && { filter }),
    ...(from !== undefined && { from }),
    ...(partitionByTag !== undefined && { partitionBy: { tagPrefix: partitionByTag } }),
    ...(partitions !== undefined && { partitions }),
    ...(ackDeadline !== undefined && { ackDeadlineMs: Math.round(ackDeadline * 1000) }),
    ...(attempts !== undefined && { attemptsMax: attempts }),
    ...(parkedMax !== undefined && { parkedMax }),
  }
}

async function tellStatus({ output }: CommandRun, status: GroupStatus, isJson: boolean): Promise<void> {
  if (isJson) {
    return output.line(JSON.stringify({ ...summaryJson(status), partitions: status.partitions.map(partitionJson) }))
  }
  await output.line(summaryLine(status))
  for (const { consumer, node, partitions } of status.consumers) {
    await output.line(`  consumer ${printable(consumer)} at ${printable(node)}: ${partitions} partition${partitions === 1 ? '' : 's'}`)
  }
  // Partitions that have nothing to tell would fill the screen.
  for (const told of status.partitions.filter(
    ({ inFlight, parked, oldest, why }) => inFlight + parked > 0 || oldest !== undefined || why !== undefined,
  )) {
    await output.line(partitionLine(told))
  }
}

function summaryLine({ group, generation, consumers, settled, lag, parked, why }: GroupSummary): string {
  const reason = why === undefined ? '' : `: ${printable(why)}`
  const count = `${consumers.length} consumer${consumers.length === 1 ? '' : 's'}`
  return `${printable(group)}  generation ${generation}  ${count}  settled ${settled}  lag ${lag}  parked ${parked}${reason}`
}

function partitionLine({ partition, settled, consumer, inFlight, parked, oldest, why }: PartitionStatus): string {
  const parts = [`  partition ${partition}  settled ${settled}  in flight ${inFlight}  parked ${parked}`]
  if (consumer !== undefined) parts.push(printable(consumer))
  if (oldest !== undefined) parts.push(`oldest at ${oldest.position}, attempt ${oldest.attempts}`)
  if (why !== undefined) parts.push(printable(why))
  return parts.join('  ')
}

/** Exactly as over HTTP: positions are numbers. */
function summaryJson({ group, definition, generation, consumers, settled, lag, parked, why }: GroupSummary): object {
  const { from } = definition
  return {
    group,
    definition: { ...definition, from: from === 'end' ? from : Number(from) },
    generation,
    consumers,
    settled: Number(settled),
    lag: Number(lag),
    parked,
    ...(why !== undefined && { why }),
  }
}

function partitionJson({ settled, oldest, ...rest }: PartitionStatus): object {
  return { ...rest, settled: Number(settled), ...(oldest !== undefined && { oldest: { ...oldest, position: Number(oldest.position) } }) }
}
