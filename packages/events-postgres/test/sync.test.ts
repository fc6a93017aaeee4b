import type { Flush } from '@synod/events'
import { postgresReadSide } from '@synod/events-postgres'
import { temporaryPostgres, testDatabase } from '@synod/servers'
import { expect, test } from 'vitest'

/** The n-th flush, of one slot without events. */
function flush(n: number): Flush {
  const none = {
    streamNumbers: new Uint32Array(0),
    revisions: new Float64Array(0),
    offsets: new Uint32Array(0),
    lengths: new Uint32Array(0),
  }
  const at = (slot: number) => ({ slot, position: 0, streams: 0 })
  const slot = { slot: n, firstPosition: 0, count: 0, index: Uint8Array.of(n), ...none }
  return { from: at(n - 1), to: at(n), streams: [], slots: [slot], keys: [], keysForgotten: 0, postings: [], cells: [] }
}

test('what was flushed before a sync survives a server that is killed; the log may forget what it was made from', async () => {
  // Nothing but a sync brings the WAL to the disk in time.
  const server = await temporaryPostgres({ settings: { wal_writer_delay: '10s' } })
  const side = postgresReadSide({ connectionString: server.connectionString, reconnectTimeoutMs: 500 })
  await side.open('')
  for (let n = 1; n <= 5; n++) await side.flush(flush(n))
  await side.sync?.()
  await side.flush(flush(6))
  await server.kill()
  await side.close()
  const again = await server.restart()
  const next = postgresReadSide({ connectionString: again.connectionString })
  expect((await next.open('')).slot).toBeGreaterThanOrEqual(5)
  await next.close()
  await again.remove()
}, 60_000)

test('a read side that another process has taken over is not synced', async () => {
  await using database = await testDatabase()
  const { connectionString } = database
  const [first, second] = [postgresReadSide({ connectionString }), postgresReadSide({ connectionString })]
  await first.open('')
  await first.flush(flush(1))
  await second.open('')
  await expect(first.sync?.()).rejects.toMatchObject({ name: 'ReadSideError', code: 'fenced' })
  await first.close()
  await second.close()
})
