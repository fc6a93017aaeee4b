/** The commands `streams info`, `streams metadata` and `streams delete`: what is known of a stream, and what it keeps. */
import type { Expected, StreamMetadata, StreamMetadataState } from '@synod/client'
import { UsageError } from './command-errors.ts'
import { EventColumns, eventJson } from './event-lines.ts'
import { parseJsonText } from './json-text.ts'
import { printable } from './printable.ts'
import { runCommand, type ClusterOptions } from './run-command.ts'

export interface StreamInfoOptions extends ClusterOptions {
  readonly local?: boolean
}

export function streamInfo(stream: string, options: StreamInfoOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const info = await client.streamInfo(stream, { ...(options.local && { consistency: 'local' as const }), signal })
    const { firstRevision, lastRevision, length, lastEvent } = info
    if (options.json) {
      const head = JSON.stringify({ stream, firstRevision: Number(firstRevision), lastRevision: Number(lastRevision), length })
      const tail = lastEvent === undefined ? '}' : `,"lastEvent":${eventJson(lastEvent)}}`
      return output.line(`${head.slice(0, -1)}${tail}`)
    }
    await output.line(
      length === 0
        ? `no events: all are hidden, up to revision ${lastRevision}`
        : `${length} event${length === 1 ? '' : 's'}, revisions ${firstRevision} to ${lastRevision}`,
    )
    if (lastEvent !== undefined) await output.line(new EventColumns(process.stdout).line(lastEvent))
  })
}

export interface StreamMetadataOptions extends ClusterOptions {
  readonly maxCount?: number
  readonly maxAge?: number
  readonly truncateBefore?: bigint
  readonly custom?: string
  readonly clear?: boolean
  readonly local?: boolean
}

/** Shows what the stream keeps; with an option, replaces it whole. */
export function streamMetadata(stream: string, options: StreamMetadataOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const wanted = toMetadata(options)
    const state =
      wanted === undefined
        ? await client.streamMetadata(stream, { ...(options.local && { consistency: 'local' as const }), signal })
        : await client.setStreamMetadata(stream, wanted, { signal })
    await output.line(stateLine(state, options.json === true))
  })
}

export interface DeleteStreamOptions extends ClusterOptions {
  readonly hard?: boolean
  readonly expected?: Expected
}

export function deleteStream(stream: string, options: DeleteStreamOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const { hard, expected } = options
    const state = await client.deleteStream(stream, {
      ...(hard !== undefined && { isHard: hard }),
      ...(expected !== undefined && { expected }),
      signal,
    })
    await output.line(stateLine(state, options.json === true))
  })
}

function toMetadata({ maxCount, maxAge, truncateBefore, custom, clear, local }: StreamMetadataOptions): StreamMetadata | undefined {
  const metadata = {
    ...(maxCount !== undefined && { maxCount }),
    ...(maxAge !== undefined && { maxAgeSeconds: maxAge }),
    ...(truncateBefore !== undefined && { truncateBefore }),
    ...(custom !== undefined && { custom: toCustom(custom) }),
  }
  const isChange = Object.keys(metadata).length > 0
  if (clear === true && isChange) throw new UsageError('--clear takes everything away: give it alone')
  if (local === true && (isChange || clear === true)) throw new UsageError('--local is for looking: a change goes through the cluster')
  return isChange || clear === true ? metadata : undefined
}

function toCustom(text: string): Readonly<Record<string, unknown>> {
  let custom: unknown
  try {
    custom = parseJsonText(text)
  } catch (error) {
    throw new UsageError(`--custom is not JSON (${(error as Error).message.slice(0, 200)})`)
  }
  if (typeof custom !== 'object' || custom === null || Array.isArray(custom)) throw new UsageError('--custom must be a JSON object')
  return custom as Readonly<Record<string, unknown>>
}

function stateLine({ stream, metadata, version, state }: StreamMetadataState, isJson: boolean): string {
  const { truncateBefore, ...rest } = metadata
  const kept = { ...rest, ...(truncateBefore !== undefined && { truncateBefore: Number(truncateBefore) }) }
  if (isJson) return JSON.stringify({ stream, metadata: kept, version, state })
  return `${printable(stream)} is ${state}; version ${version}: ${printable(JSON.stringify(kept))}`
}
