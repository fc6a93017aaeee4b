import { InvalidArgumentError } from './client-error.ts'
import type { EventSchemas } from './event-types.ts'

export interface ConnectOptions {
  /** Where nodes answer HTTP, for instance `http://127.0.0.1:2113`. Any one is enough: it tells the others. 1 to 64. */
  readonly nodes: readonly string[]
  /** Milliseconds an append is tried for, with the same event ids. Default 30,000. */
  readonly appendTimeout?: number
  /** Milliseconds a page is tried for, and the beginning of a subscription. Default 30,000. */
  readonly readTimeout?: number
  /** Appends sent and not answered. Beyond, an append waits its turn. Default 1,024. */
  readonly appendsInFlightMax?: number
  /** The same in bytes of events; an append larger than this goes alone. Default 16 MiB. */
  readonly appendBytesInFlightMax?: number
  /** Appends that wait their turn, or for a node. Beyond: BusyError. Default 16,384. */
  readonly appendsWaitingMax?: number
  /** The same in bytes of events. Default 64 MiB. */
  readonly appendBytesWaitingMax?: number
  /**
   * What a subscription holds that its reader has not taken, in bytes of events, one frame at most above it. Default 2 MiB; in memory
   * small events take about four times that.
   */
  readonly subscriptionBytesMax?: number
  /**
   * What becomes of the text of data and metadata when events are read; default `JSON.parse`, which rounds numbers beyond 2^53. The text
   * is as it was appended, white space included.
   */
  readonly parseJson?: (text: string) => unknown
}

export interface SchemaOptions<S extends EventSchemas> {
  /** The schema of each type's data. Checked at append and at read. */
  readonly events: S
  /** What reads do with an event whose type is not in `events`: `refuse` (default) is a SchemaError, `skip` leaves it out. */
  readonly undeclared?: 'refuse' | 'skip'
}

export interface ClientLimits {
  readonly appendTimeout: number
  readonly readTimeout: number
  readonly appendsInFlightMax: number
  readonly appendBytesInFlightMax: number
  readonly appendsWaitingMax: number
  readonly appendBytesWaitingMax: number
  readonly subscriptionBytesMax: number
}

const mebibyte = 1024 * 1024
const nodesMax = 64

const defaults: ClientLimits = {
  appendTimeout: 30_000,
  readTimeout: 30_000,
  appendsInFlightMax: 1024,
  appendBytesInFlightMax: 16 * mebibyte,
  appendsWaitingMax: 16_384,
  appendBytesWaitingMax: 64 * mebibyte,
  subscriptionBytesMax: 2 * mebibyte,
}

/** Credit is a 32-bit number of bytes, and times are timers of the platform. */
const valueMax = 2 ** 31 - 1

/** @throws InvalidArgumentError that names the option */
export function toLimits(options: ConnectOptions): ClientLimits {
  const limits: Record<string, number> = { ...defaults }
  for (const name of Object.keys(defaults)) {
    const value = (options as unknown as Readonly<Record<string, unknown>>)[name]
    if (value === undefined) continue
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > valueMax) {
      throw new InvalidArgumentError(`${name} must be an integer from 1 to ${valueMax}, not ${JSON.stringify(value)}`)
    }
    limits[name] = value
  }
  return limits as unknown as ClientLimits
}

/** Without a slash at the end, each once. @throws InvalidArgumentError */
export function toNodes(nodes: unknown): readonly string[] {
  if (!Array.isArray(nodes) || nodes.length === 0 || nodes.length > nodesMax) {
    throw new InvalidArgumentError(`nodes must be a list of 1 to ${nodesMax} URLs, such as ['http://127.0.0.1:2113']`)
  }
  return [...new Set(nodes.map(toNode))]
}

/** @throws InvalidArgumentError */
export function toNode(node: unknown): string {
  const url = typeof node === 'string' ? URL.parse(node) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new InvalidArgumentError(`a node is an http or https URL such as http://127.0.0.1:2113, not ${JSON.stringify(node)}`)
  }
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
}
