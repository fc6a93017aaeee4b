import type { ServerResponse } from 'node:http'
import { unavailable } from './http-error.ts'

/** The race is lost a little later than the signal fires, so that whoever heeds the signal says why in its own words. */
export const graceMilliseconds = 150

/**
 * Runs an operation with a signal that fires at the deadline, or when the client has gone. Ends in time in any case.
 * @throws HttpError 503 `unavailable`
 */
export async function withDeadline<T>(
  response: ServerResponse,
  milliseconds: number,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const late = unavailable('no answer in time, the outcome is unknown: try again with the same Idempotency-Key or the same event ids')
  const onClose = (): void => controller.abort(unavailable('the client has gone'))
  const timers: NodeJS.Timeout[] = []
  response.once('close', onClose)
  try {
    const tooLate = new Promise<never>((_, reject) => {
      timers.push(setTimeout(() => controller.abort(late), milliseconds))
      timers.push(setTimeout(() => reject(late), milliseconds + graceMilliseconds))
    })
    return await Promise.race([run(controller.signal), tooLate])
  } finally {
    timers.forEach(clearTimeout)
    response.off('close', onClose)
  }
}
