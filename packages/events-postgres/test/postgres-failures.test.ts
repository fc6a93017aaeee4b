import { createServer, connect, type AddressInfo } from 'node:net'
import type { Flush, ReadSide } from '@synod/events'
import { postgresReadSide, readSide } from '@synod/events-postgres'
import { temporaryPostgres, testDatabase } from '@synod/servers'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'

const opened: ReadSide[] = []
afterEach(async () => {
  for (const side of opened.splice(0)) await side.close()
})

/** The n-th flush: a slot with three events of two streams. */
function flush(n: number): Flush {
  const at = (slots: number) => ({ slot: slots, position: slots * 3, streams: slots === 0 ? 0 : 2 })
  const slot = {
    slot: n,
    firstPosition: n * 3 - 2,
    count: 3,
    index: Uint8Array.of(n % 256),
    streamNumbers: Uint32Array.of(1, 2, 1),
    revisions: Float64Array.of(n * 2 - 2, n - 1, n * 2 - 1),
    offsets: Uint32Array.of(10, 20, 30),
    lengths: Uint32Array.of(5, 5, 5),
  }
  const streams =
    n === 1
      ? [
          { number: 1, name: 'one' },
          { number: 2, name: 'two' },
        ]
      : []
  return { from: at(n - 1), to: at(n), streams, slots: [slot], keys: [], keysForgotten: 0 }
}

async function opening() {
  const { connectionString } = await testDatabase()
  const side = postgresReadSide({ connectionString, reconnectTimeoutMs: 10_000 })
  opened.push(side)
  await side.open('s')
  return { side, sql: (statement: string) => query(connectionString, statement) }
}

async function query(connectionString: string, statement: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}

/** Between a client and Postgres: when told so, hands one statement on, and cuts the client off in place of the answer. */
async function answerEatingProxy(target: string) {
  const url = new URL(target)
  const [port, host] = [Number(url.port), url.hostname]
  let [awaited, eaten] = [undefined as string | undefined, 0]
  const server = createServer((client) => {
    const upstream = connect(port, host)
    let eating = false
    client.on('data', (data) => {
      if (awaited !== undefined && data.includes(awaited)) [eating, awaited] = [true, undefined]
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (!eating) return void client.write(data)
      eaten++
      client.destroy()
    })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on('error', () => {}) // 'close' follows
      socket.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    connectionString: url.href,
    eatAnswerTo: (statement: string) => void (awaited = statement),
    eaten: () => eaten,
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}

const cut = `select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name like 'synod-events%' and datname = current_database()`

describe('a Postgres read side', () => {
  test('goes on when its connections are cut', async () => {
    const { side, sql } = await opening()
    await side.flush(flush(1))
    expect(await side.streamEvents(1, 0, 1)).toHaveLength(2)
    await sql(cut)
    expect(await side.streamEvents(1, 0, 1)).toHaveLength(2)
    await side.flush(flush(2))
    expect(await side.streamEvents(1, 0, 3)).toHaveLength(4)
  })

  test('does a flush once, when its COMMIT took effect and the answer was lost', async () => {
    const { connectionString } = await testDatabase()
    await using proxy = await answerEatingProxy(connectionString)
    const side = postgresReadSide({ connectionString: proxy.connectionString })
    opened.push(side)
    await side.open('s')
    await side.flush(flush(1))
    proxy.eatAnswerTo('commit')
    await side.flush(flush(2))
    expect(proxy.eaten()).toBe(1)
    await side.flush(flush(3))
    expect(await query(connectionString, 'select sum(count)::int as events from synod_events.runs')).toEqual([{ events: 9 }])
  })

  test('that lost what was not synced refuses to read and to flush', async () => {
    const { side, sql } = await opening()
    await side.flush(flush(1))
    await side.flush(flush(2))
    await sql(`update synod_events.mark set slot = 1, position = 3`)
    await sql(cut)
    await expect(side.streamsNamed(['one'])).rejects.toMatchObject({ code: 'fenced', message: expect.stringContaining('had not synced') })
    await expect(side.flush(flush(3))).rejects.toMatchObject({ code: 'fenced' })
  })

  test('names the row that is damaged', async () => {
    const { side, sql } = await opening()
    for (let n = 1; n <= 3; n++) await side.flush(flush(n))
    await sql(
      `delete from synod_events.runs where stream = 1 and revision = 2; delete from synod_events.slots where slot = 2; delete from synod_events.streams where number = 2`,
    )
    await expect(side.streamEvents(1, 2, 5)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('stream 1 lacks revision 2'),
    })
    for (const damage of [`'\\x'`, `substring(places from 1 for 5)`, `places || '\\x00'`, `set_byte(places, 0, 9)`]) {
      await sql(`update synod_events.runs set places = ${damage} where stream = 1 and revision = 4`)
      await expect(side.streamEvents(1, 4, 5)).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringContaining('does not decode'),
      })
    }
    await expect(side.slotsHolding(2, 8)).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining('slot 3') })
    await expect(side.slotsHolding(5, 5)).rejects.toMatchObject({ code: 'damaged' })
    await expect(side.streamsNumbered([1, 2])).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining('stream 2') })
  })

  test('of a newer build is refused', async () => {
    const { side, sql } = await opening()
    await side.close()
    await sql(`insert into synod_events.migration (name, timestamp) values ('0009_later', '')`)
    const { connectionString } = await testDatabase()
    const [{ current_database: database } = {}] = await sql('select current_database()')
    const again = postgresReadSide({ connectionString: connectionString.replace(/[^/]*$/, String(database)) })
    opened.push(again)
    await expect(again.open('s')).rejects.toMatchObject({ code: 'unknown_version' })
  })

  test('of an older build is emptied and begins anew', async () => {
    const { side, sql } = await opening()
    await side.flush(flush(1))
    await side.close()
    await sql(
      `drop table synod_events.runs; create table synod_events.events (revision bigint); delete from synod_events.migration where name = '0002_runs'`,
    )
    const { connectionString } = await testDatabase()
    const [{ current_database: database } = {}] = await sql('select current_database()')
    const again = postgresReadSide({ connectionString: connectionString.replace(/[^/]*$/, String(database)) })
    opened.push(again)
    expect(await again.open('s')).toEqual({ slot: 0, position: 0, streams: 0 })
    await again.flush(flush(1))
    expect(await again.streamEvents(1, 0, 1)).toHaveLength(2)
  })

  test('survives a killed server, at its mark', async () => {
    await using server = await temporaryPostgres()
    const side = postgresReadSide({ connectionString: server.connectionString })
    await side.open('s')
    for (let n = 1; n <= 20; n++) await side.flush(flush(n))
    await server.kill()
    await using again = await server.restart()
    const next = postgresReadSide({ connectionString: again.connectionString })
    const mark = await next.open('s')
    expect(mark).toEqual(flush(mark.slot + 1).from)
    if (mark.slot > 0) expect(await next.streamEvents(1, 0, mark.slot * 2 - 1)).toHaveLength(mark.slot * 2)
    await next.flush(flush(mark.slot + 1))
    await expect(side.flush(flush(21))).rejects.toMatchObject({ code: 'fenced' })
    await side.close()
    await next.close()
  })

  test.each([
    undefined,
    {},
    { connectionString: 'mysql://x' },
    { connectionString: 'postgres://x', schema: 'A;' },
    { connectionString: 'postgres://x', readConnectionsMax: 0 },
    { connectionString: 'postgres://x', other: 1 },
  ])('options %o are refused', (options) => {
    expect(() => readSide.create({ options })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  })
})
