/**
 * Data and metadata are JSON, and nothing looks at them again: over HTTP they are put into an answer as they are. So what is no
 * JSON is refused here, by the same judge that reads a body over HTTP, and to the same depth.
 */
import { MalformedError, type Bytes } from '@synod/codec'
import { decodeRecordBody, type RecordBody } from '@synod/event-record'
import { invalidArgument } from '../http/http-error.ts'
import { jsonDepth } from '../http/json-members.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Says nothing of what is no record: the store refuses that. @throws HttpError 400 that names event and field, and the write of several */
export function checkJson(records: readonly Bytes[], depthMax: number, write?: number): void {
  for (const [event, record] of records.entries()) {
    const body = bodyOf(record)
    if (body === undefined) return
    check(body.data, event, 'data', depthMax, write)
    if (body.metadata !== undefined) check(body.metadata, event, 'metadata', depthMax, write)
  }
}

function bodyOf(record: Bytes): RecordBody | undefined {
  try {
    return decodeRecordBody(record)
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}

function check(json: Bytes, event: number, field: 'data' | 'metadata', depthMax: number, write: number | undefined): void {
  const refuse = (what: string): Error =>
    write === undefined
      ? invalidArgument(`event ${event}: ${field} ${what}`, { event, field })
      : invalidArgument(`write ${write}: event ${event}: ${field} ${what}`, { write, event, field })
  // A level takes a byte at least.
  if (json.length > depthMax && jsonDepth(json, depthMax) > depthMax) throw refuse(`nests deeper than ${depthMax} levels: flatten it`)
  let text: string
  try {
    text = utf8.decode(json)
  } catch {
    throw refuse('is not UTF-8')
  }
  try {
    JSON.parse(text)
  } catch (error) {
    throw refuse(`is not JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}
