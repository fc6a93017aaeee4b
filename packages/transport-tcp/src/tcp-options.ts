import { TransportError } from '@synod/transport'

/** `transport.options` in the config file; every field has a default. */
export interface TcpOptions {
  /** The largest frame, in bytes, 1 KiB to 256 MiB. Default 4 MiB. */
  readonly frameBytesMax: number
  /**
   * What may wait for one peer, in bytes; above it the newest frames are dropped and counted (`droppedQueueFull`). At least
   * `frameBytesMax` + 4. Default 32 MiB: a second of a fast link; what waits longer is stale.
   */
  readonly queueBytesMax: number
  /** How often a link is probed; after two probes without a sign of life it is dropped. 20 ms to a minute. Default 1000. */
  readonly pingMs: number
  /** How long connecting and greeting may take, in milliseconds, on either side. 20 ms to a minute. Default 2000. */
  readonly greetingMsMax: number
  /** Connections that have not said yet who they are; when one more comes the oldest is closed. Default 128. */
  readonly strangersMax: number
}

const numbers: Readonly<Record<keyof TcpOptions, { readonly initial: number; readonly min: number; readonly max: number }>> = {
  frameBytesMax: { initial: 4 * 1024 * 1024, min: 1024, max: 256 * 1024 * 1024 },
  queueBytesMax: { initial: 32 * 1024 * 1024, min: 1028, max: 4 * 1024 * 1024 * 1024 },
  pingMs: { initial: 1000, min: 20, max: 60_000 },
  greetingMsMax: { initial: 2000, min: 20, max: 60_000 },
  strangersMax: { initial: 128, min: 1, max: 65_536 },
}

const names = Object.keys(numbers) as (keyof TcpOptions)[]

/** Throws a TransportError `invalid_options` that names the field and what is allowed. */
export function parseTcpOptions(given: unknown): TcpOptions {
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given)))
    throw invalid(`must be an object with some of ${names.join(', ')}`)
  const fields = new Map<string, unknown>(Object.entries(given ?? {}))
  for (const name of fields.keys()) if (!Object.hasOwn(numbers, name)) throw invalid(`has no field ${name}; there are ${names.join(', ')}`)
  const options = Object.fromEntries(names.map((name) => [name, numberIn(name, fields.get(name))]))
  const parsed = options as Record<keyof TcpOptions, number>
  if (parsed.queueBytesMax < parsed.frameBytesMax + 4)
    throw invalid(`.queueBytesMax must be at least frameBytesMax + 4, which is ${parsed.frameBytesMax + 4}`)
  return parsed
}

function numberIn(name: keyof TcpOptions, value: unknown): number {
  const { initial, min, max } = numbers[name]
  if (value === undefined) return initial
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw invalid(`.${name} must be an integer in ${min}..${max}, not ${JSON.stringify(value) ?? typeof value}`)
  return value
}

function invalid(what: string): TransportError {
  return new TransportError('invalid_options', `transport.options${what.startsWith('.') ? '' : ' '}${what}`)
}
