import type { NodeMessage, RequestNumber } from '@synod/client-protocol'
import { busy, HttpError } from '../http/http-error.ts'
import { toHttpError } from '../http/to-http-error.ts'

export interface Refusal {
  readonly message: Extract<NodeMessage, { kind: 'refused' }>
  /** Nobody foresaw it: it belongs into the log. */
  readonly isUnforeseen: boolean
}

/** The words of HTTP, whatever was thrown. */
export function refusalOf(request: RequestNumber, error: unknown): Refusal {
  const known = toHttpError(error)
  const { code, message, details } = known ?? new HttpError(500, 'internal', 'this node failed to answer: its log says why')
  return {
    message: { kind: 'refused', request, code, message: message.toWellFormed(), details: JSON.stringify(details) },
    isUnforeseen: known === undefined,
  }
}

export function tooManyRequests(max: number): HttpError {
  return busy(`${max} requests are open on this connection: await some of them first`)
}
