import { randomBytes } from 'node:crypto'

export const eventBytes = 256

/** One JSON document of exactly `eventBytes` bytes, which no store can compress to much less. */
export function eventBody(): string {
  const frame = JSON.stringify({ payload: '' }).length
  return JSON.stringify({
    payload: randomBytes(eventBytes)
      .toString('base64url')
      .slice(0, eventBytes - frame),
  })
}
