/** A body as JSON: UTF-8, not too deep, and of the shape that a route wants. */
import type { Bytes } from '@synod/codec'
import type { z } from 'zod'
import { invalidArgument } from './http-error.ts'
import { jsonDepth } from './json-members.ts'

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
