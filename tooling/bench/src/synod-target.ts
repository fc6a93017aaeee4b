import { setTimeout as sleep } from 'node:timers/promises'
import { Pool, request } from 'undici'
import { BenchError } from './bench-error.ts'
import { startSynod } from './synod-process.ts'
import { streamsCount, type Target } from './target.ts'

const leaderMillisecondsMax = 20_000

/** Three nodes, each with its own Postgres, TCP between them; every append a request of its own over connections that stay open. */
export async function synodTarget(data: string, signal: AbortSignal): Promise<Target> {
  const cluster = await startSynod(signal)
  try {
    const leader = await leaderUrl(cluster.urls, signal)
    return open(leader, data, () => cluster.stop())
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

function open(url: string, data: string, stop: () => Promise<void>): Target {
  const body = Buffer.from(`[{"type":"Measured","data":${data}}]`)
  const headers = { 'content-type': 'application/json' }
  const paths = Array.from({ length: streamsCount }, (_, index) => `/streams/bench-${index}`)
  let pool = new Pool(url, { connections: 1 })
  return {
    name: 'Synod',
    durable: 'fsync at 2 of 3 nodes',
    client: 'HTTP/1.1 to the leader, keep-alive, a connection for each append in flight (undici)',
    async prepare(inFlight) {
      await pool.close()
      pool = new Pool(url, { connections: inFlight, pipelining: 1 })
    },
    async append(turn) {
      const path = paths[turn % streamsCount] ?? ''
      const response = await pool.request({ method: 'POST', path, headers, body })
      if (response.statusCode === 201) return response.body.dump()
      throw new BenchError(`POST ${path} answered ${response.statusCode} ${await response.body.text()}`)
    },
    async close() {
      await pool.destroy()
      await stop()
    },
  }
}

async function leaderUrl(urls: readonly string[], signal: AbortSignal): Promise<string> {
  const deadline = performance.now() + leaderMillisecondsMax
  for (; performance.now() < deadline; await sleep(100)) {
    signal.throwIfAborted()
    const { body } = await request(new URL('/cluster', urls[0]))
    const { leader, nodes } = (await body.json()) as { leader: string | null; nodes: readonly { id: string; url: string }[] }
    const found = nodes.find(({ id }) => id === leader)
    if (found !== undefined) return found.url
  }
  throw new BenchError(`no node leads for ${leaderMillisecondsMax / 1000} s after all were ready`)
}
