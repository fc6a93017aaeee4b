/**
 * Pages in a browser. A node asks nobody who they are, so any web page that a developer opens could make the browser append
 * here, with a form or a `fetch` that needs no permission: such requests name the page's origin, and curl and services name
 * none. A page may write, or open a connection, only when it is served from this machine itself or its origin is listed
 * (`http.origins`). Reads need no check: a page cannot see an answer without the headers that would allow it, and none are sent.
 */
import type { IncomingMessage } from 'node:http'
import { HttpError } from './http-error.ts'

const loopback = /^https?:\/\/(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/

/** Why a page must not ask for this; undefined when it may, and when nothing says that a page asks. */
export function originRefusal(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  origins: readonly string[],
): HttpError | undefined {
  const isRead = (method === 'GET' || method === 'HEAD') && headers.upgrade === undefined
  if (isRead) return undefined
  const { origin } = headers
  const site = headers['sec-fetch-site']
  const isForeign =
    origin === undefined ? site === 'cross-site' || site === 'same-site' : !loopback.test(origin) && !origins.includes(origin)
  if (!isForeign) return undefined
  const who = origin === undefined ? 'another site' : JSON.stringify(origin.slice(0, 128))
  return new HttpError(403, 'origin_not_allowed', `pages of ${who} may not do this: list the origin in http.origins (docs/config.md)`)
}
