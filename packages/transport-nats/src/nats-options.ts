import { TransportError } from '@synod/transport'

/** `transport.options` in the config file; every field has a default. */
export interface NatsOptions {
  /**
   * The largest frame, in bytes, 8 KiB to 32 MiB; less where the server's `max_payload` is less, 1 MiB until a server said
   * so. Default 4 MiB.
   */
  readonly frameBytesMax: number
  /**
   * What may wait for one peer, in bytes: not yet handed to the server, or not yet confirmed by it. Above it the newest
   * frames are dropped and counted (`droppedQueueFull`). At least `frameBytesMax` + 4. Default 32 MiB.
   */
  readonly queueBytesMax: number
  /**
   * How often the server and every peer are probed; after two probes without an answer the server is left, or the peer is
   * taken to be away. 20 ms to a minute. Default 1000.
   */
  readonly pingMs: number
  /** How long connecting to one server may take, in milliseconds. 20 ms to a minute. Default 1000. */
  readonly dialMsMax: number
  /** What the server asks for; absent: nothing. `token` goes without the other two. */
  readonly user?: string
  readonly password?: string
  readonly token?: string
}

type NumberName = 'frameBytesMax' | 'queueBytesMax' | 'pingMs' | 'dialMsMax'
type TextName = 'user' | 'password' | 'token'

const numbers: Readonly<Record<NumberName, { readonly initial: number; readonly min: number; readonly max: number }>> = {
  frameBytesMax: { initial: 4 * 1024 * 1024, min: 8 * 1024, max: 32 * 1024 * 1024 },
  queueBytesMax: { initial: 32 * 1024 * 1024, min: 8 * 1024 + 4, max: 1024 * 1024 * 1024 },
  pingMs: { initial: 1000, min: 20, max: 60_000 },
  dialMsMax: { initial: 1000, min: 20, max: 60_000 },
}
const textCharactersMax = 4096
const numberNames = Object.keys(numbers) as NumberName[]
const textNames: readonly TextName[] = ['user', 'password', 'token']
const names: readonly string[] = [...numberNames, ...textNames]

/** Throws a TransportError `invalid_options` that names the field and what is allowed. */
export function parseNatsOptions(given: unknown): NatsOptions {
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given)))
    throw invalid(` must be an object with some of ${names.join(', ')}`)
  const fields = new Map<string, unknown>(Object.entries(given ?? {}))
  for (const name of fields.keys()) if (!names.includes(name)) throw invalid(` has no field ${name}; there are ${names.join(', ')}`)
  const parsed = Object.fromEntries(numberNames.map((name) => [name, numberIn(name, fields.get(name))])) as Record<NumberName, number>
  const texts = textNames.filter((name) => fields.get(name) !== undefined).map((name) => [name, textIn(name, fields.get(name))])
  if (parsed.queueBytesMax < parsed.frameBytesMax + 4)
    throw invalid(`.queueBytesMax must be at least frameBytesMax + 4, which is ${parsed.frameBytesMax + 4}`)
  if (fields.get('token') !== undefined && texts.length > 1) throw invalid('.token goes without user and password: give one or the other')
  if (fields.get('password') !== undefined && fields.get('user') === undefined) throw invalid('.password needs a user')
  return { ...parsed, ...Object.fromEntries(texts) }
}

function numberIn(name: NumberName, value: unknown): number {
  const { initial, min, max } = numbers[name]
  if (value === undefined) return initial
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw invalid(`.${name} must be an integer in ${min}..${max}, not ${JSON.stringify(value) ?? typeof value}`)
  return value
}

/** The value is not quoted: it may be a secret. */
function textIn(name: TextName, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > textCharactersMax)
    throw invalid(`.${name} must be a string of 1..${textCharactersMax} characters`)
  return value
}

function invalid(what: string): TransportError {
  return new TransportError('invalid_options', `transport.options${what}`)
}
