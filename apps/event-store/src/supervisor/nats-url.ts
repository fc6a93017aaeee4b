/**
 * `NATS_URL`: servers that exist already, `nats://[user:password@|token@]host[:port]`, several with commas between them. What
 * they ask for goes into the transport's options, because an address is shown in messages and a password is not.
 */
import { natsNameAt } from '@synod/servers'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from './start-error.ts'

export interface NatsServers {
  /** `host:port` each. */
  readonly servers: readonly string[]
  /** Of the transport: `user` and `password`, or `token`. */
  readonly options: Readonly<Record<string, string>>
}

const usualPort = 4222
const answerMillisecondsMax = 3_000

/** @throws StartError */
export function parseNatsUrl(text: string): NatsServers {
  const urls = text.split(',').map((part) => parseOne(part.trim()))
  const [first] = urls
  // All of them are one NATS to its clients; the nodes have one name and one password.
  const other = urls.find(({ username, password }) => username !== first!.username || password !== first!.password)
  if (other !== undefined) throw refused('its servers have different users or passwords: give all the same')
  return { servers: urls.map(({ hostname, port }) => `${hostname}:${port || usualPort}`), options: credentialsOf(first!) }
}

/** Resolves as soon as one of them answers. @throws StartError when none does in three seconds */
export async function requireNats({ servers }: NatsServers): Promise<void> {
  for (const deadline = performance.now() + answerMillisecondsMax; performance.now() < deadline; await sleep(100)) {
    const names = await Promise.all(servers.map((server) => nameAt(server)))
    if (names.some((name) => name !== undefined)) return
  }
  throw refused(`nobody answers as a NATS server at ${servers.join(' or ')}: start it, or unset NATS_URL and one is started here`)
}

function nameAt(server: string): Promise<string | undefined> {
  const colon = server.lastIndexOf(':')
  return natsNameAt(server.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), Number(server.slice(colon + 1)))
}

function parseOne(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'nats:' || url.hostname === '' || !['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '')
    // Not quoted: it may hold a password.
    throw refused('it must be nats://[user:password@|token@]host[:port], several with commas between them')
  return url
}

function credentialsOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  if (password === '') return { token: decodeURIComponent(username) }
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) }
}

function refused(why: string): StartError {
  return new StartError(`NATS_URL: ${why}`)
}
