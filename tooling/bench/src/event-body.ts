import { randomBytes } from 'node:crypto'

export const eventBytes = 256

export type EventBody = {
  readonly number: number
  readonly payload: string
}

const text = randomBytes(eventBytes).toString('base64url')

/** A value that is exactly `eventBytes` bytes as JSON and that no store can compress to much less. `number` is below 10^12. */
export function eventBody(number = 0): EventBody {
  const frameBytes = JSON.stringify({ number, payload: '' }).length
  return { number, payload: text.slice(0, eventBytes - frameBytes) }
}
