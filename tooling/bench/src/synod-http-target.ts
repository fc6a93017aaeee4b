import { Pool } from 'undici'
import { BenchError } from './bench-error.ts'
import { eventBody } from './event-body.ts'
import { streamsCount, type Target } from './target.ts'

/** Every append a request of its own over connections that stay open. */
export function synodHttpTarget(leaderUrl: string, pid: number): Target & { close(): Promise<void> } {
  const body = Buffer.from(JSON.stringify([{ type: 'Measured', data: eventBody() }]))
  const headers = { 'content-type': 'application/json' }
  const paths = Array.from({ length: streamsCount }, (_, index) => `/streams/http-${index}`)
  let pool = new Pool(leaderUrl, { connections: 1 })
  return {
    key: 'synod-http',
    name: 'Synod by HTTP',
    durable: 'fsync at 2 of 3',
    client: 'the same three nodes; HTTP/1.1 to the leader, keep-alive, a connection for each append in flight (undici)',
    pids: [pid],
    async prepare(inFlight) {
      await pool.close()
      pool = new Pool(leaderUrl, { connections: inFlight, pipelining: 1 })
    },
    async append(turn) {
      const path = paths[turn % streamsCount] ?? ''
      const response = await pool.request({ method: 'POST', path, headers, body })
      if (response.statusCode === 201) return response.body.dump()
      throw new BenchError(`POST ${path} answered ${response.statusCode} ${await response.body.text()}`)
    },
    close: () => pool.destroy(),
  }
}
