/** An answer that is no success: `{code, message, …}` with its status. `code` is stable, the message says what to do. */
export class HttpError extends Error {
  readonly status: number
  readonly code: string
  /** More keys of the answer. */
  readonly details: Readonly<Record<string, unknown>>
  constructor(status: number, code: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.name = 'HttpError'
    this.status = status
    this.code = code
    this.details = details
  }
}

export function invalidArgument(message: string, details: Readonly<Record<string, unknown>> = {}): HttpError {
  return new HttpError(400, 'invalid_argument', message, details)
}

export function tooLarge(message: string): HttpError {
  return new HttpError(413, 'too_large', message)
}

export function unavailable(message: string): HttpError {
  return new HttpError(503, 'unavailable', message)
}

export function busy(message: string): HttpError {
  return new HttpError(503, 'busy', message)
}
