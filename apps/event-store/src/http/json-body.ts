/** A body as JSON: UTF-8, not too deep, and of the shape that a route wants. */
import type { Bytes } from '@synod/codec'
import type { z } from 'zod'
import { invalidArgument } from './http-error.ts'
import { jsonDepth, membersOfObject, type JsonMember } from './json-members.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `shape`: what the body must be, for people. @throws HttpError 400 */
export function parseBody(body: Bytes, jsonDepthMax: number, shape: string): unknown {
  if (body.length === 0) throw invalidArgument(`the body is empty: it must be ${shape}`)
  if (jsonDepth(body, jsonDepthMax) > jsonDepthMax) {
    throw invalidArgument(`the body nests deeper than ${jsonDepthMax} levels: flatten it`)
  }
  let text: string
  try {
    text = utf8.decode(body)
  } catch {
    throw invalidArgument('the body is not UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidArgument(`the body is not JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}

/** A body that is one object, of the shape of the schema; each key of it stands there once. @throws HttpError 400 */
export function objectBody<T>(body: Bytes, jsonDepthMax: number, schema: z.ZodType<T>): T {
  const value = shapedAs(schema, parseBody(body, jsonDepthMax, 'an object'), '')
  textsOf(membersOfObject(body), '')
  return value
}

/** The values as text, by key. A key that stands there twice would be read once here and once there. @throws HttpError 400 */
export function textsOf(members: readonly JsonMember[], path: string): ReadonlyMap<string, Bytes> {
  const texts = new Map<string, Bytes>()
  for (const { key, value } of members) {
    const name = String(JSON.parse(utf8.decode(key)))
    if (texts.has(name)) throw invalidArgument(`${path === '' ? name : `${path}.${name}`} stands there twice`)
    texts.set(name, value)
  }
  return texts
}

/** What is wrong is named by its path, below `what`. @throws HttpError 400 */
export function shapedAs<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = [what, ...(issue?.path ?? [])]
    .map(String)
    .filter((part) => part !== '')
    .join('.')
  const unknown = issue?.code === 'unrecognized_keys' ? `has the unknown key ${JSON.stringify(issue.keys[0]?.slice(0, 64))} and ` : ''
  throw invalidArgument(`${field === '' ? 'the body' : field}: ${unknown}${issue?.message ?? 'is not as it should be'}`, { field })
}

/** A value, in a word or two. */
export function nameOf(value: unknown): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (value === '') return 'an empty string'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value).slice(0, 64)}`
}
