import type { IncomingMessage } from 'node:http'
import { invalidArgument } from './http-error.ts'

/** Node joins headers of one name to "a, b", which would pass for a key; here each is seen for itself. @throws HttpError 400 */
export function idempotencyKeyOf({ headers, headersDistinct }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key']
  if (key === undefined) return undefined
  const given = headersDistinct['idempotency-key']?.length ?? 0
  if (typeof key !== 'string' || key === '' || given !== 1) {
    throw invalidArgument(`Idempotency-Key must be one value that is not empty${given > 1 ? `: there are ${given}` : ''}`)
  }
  return key
}
