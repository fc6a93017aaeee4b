/** File, then environment, then options: the later wins. Everything is checked after they were laid over each other. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError } from './config-error.ts'
import { nearestName } from './nearest-name.ts'
import { nodeConfigSchema, type NodeConfig } from './node-config.ts'

/** Environment variables that stand above the file, and the key each one sets. Those with `Options` in them hold JSON. */
export const configVariables: Readonly<Record<string, readonly string[]>> = {
  SYNOD_HTTP_HOST: ['http', 'host'],
  SYNOD_HTTP_PORT: ['http', 'port'],
  SYNOD_TRANSPORT_OPTIONS: ['transport', 'options'],
  SYNOD_STORE_OPTIONS: ['store', 'options'],
  SYNOD_READ_SIDE_OPTIONS: ['readSide', 'options'],
}

export interface ReadNodeConfigOptions {
  readonly environment?: NodeJS.ProcessEnv
  /** Of the command line. */
  readonly httpHost?: string | undefined
  readonly httpPort?: number | undefined
}

type Tree = Record<string, unknown>

/** @throws ConfigError `config_unreadable`, `config_invalid` */
export function readNodeConfig(file: string, options: ReadNodeConfigOptions = {}): NodeConfig {
  const path = resolve(file)
  const tree = parseFile(path)
  for (const [variable, key] of Object.entries(configVariables)) {
    const value = (options.environment ?? {})[variable]
    if (value !== undefined && value !== '') overlay(tree, key, fromVariable(variable, key, value))
  }
  if (options.httpHost !== undefined) overlay(tree, ['http', 'host'], options.httpHost)
  if (options.httpPort !== undefined) overlay(tree, ['http', 'port'], options.httpPort)
  const parsed = nodeConfigSchema.safeParse(tree)
  if (!parsed.success) throw new ConfigError('config_invalid', describe(path, parsed.error))
  if (parsed.data.peers[parsed.data.id] === undefined) {
    const names = Object.keys(parsed.data.peers).join(', ')
    throw new ConfigError(
      'config_invalid',
      `${path}: peers: this node, ${parsed.data.id}, is not among them (${names}): add it, or correct id`,
    )
  }
  return parsed.data
}

function parseFile(path: string): Tree {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause)
    throw new ConfigError('config_unreadable', `${path}: cannot be read (${why}): give the path of a JSON file with --config`, { cause })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ConfigError('config_invalid', `${path}: is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (!isTree(value)) throw new ConfigError('config_invalid', `${path}: must hold one JSON object`)
  return value
}

function fromVariable(variable: string, key: readonly string[], value: string): unknown {
  if (key.at(-1) === 'port') return /^\d{1,5}$/.test(value) ? Number(value) : value
  if (key.at(-1) !== 'options') return value
  try {
    return JSON.parse(value)
  } catch (cause) {
    throw new ConfigError('config_invalid', `${variable}: is not JSON: ${(cause as Error).message}`, { cause })
  }
}

/** Sets a key; objects are merged, so that a password can come from the environment and the rest from the file. */
function overlay(tree: Tree, key: readonly string[], value: unknown): void {
  const [first = '', ...rest] = key
  const present = tree[first]
  if (rest.length > 0) {
    const inner: Tree = isTree(present) ? present : {}
    tree[first] = inner
    overlay(inner, rest, value)
  } else {
    tree[first] = isTree(present) && isTree(value) ? { ...present, ...value } : value
  }
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describe(path: string, error: z.ZodError): string {
  return error.issues
    .flatMap((issue) => {
      const at = issue.path.map(String)
      if (issue.code !== 'unrecognized_keys') return [`${path}: ${at.join('.') || 'the file'}: ${issue.message}`]
      const names = keysAt(nodeConfigSchema, at)
      return issue.keys.map((key) => {
        const near = nearestName(key, names)
        const hint = near === undefined ? `known here: ${names.join(', ')}` : `did you mean ${[...at, near].join('.')}?`
        return `${path}: ${[...at, key].join('.')}: no such key; ${hint}`
      })
    })
    .join('\n')
}

function keysAt(schema: unknown, path: readonly string[]): string[] {
  const bare = unwrap(schema)
  const [first, ...rest] = path
  if (bare instanceof z.ZodObject) return first === undefined ? Object.keys(bare.shape) : keysAt(bare.shape[first], rest)
  if (bare instanceof z.ZodRecord && first !== undefined) return keysAt(bare.valueType, rest)
  return []
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap())
  }
  return schema
}
