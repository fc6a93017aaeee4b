import { createServer, connect, type AddressInfo } from 'node:net'
import { termOf, type Flush, type ReadSide } from '@synod/events'
import { positionsOf } from '@synod/events/conformance'
import { postgresReadSide, readSide } from '@synod/events-postgres'
import { temporaryPostgres, testDatabase } from '@synod/servers'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'

const opened: ReadSide[] = []
afterEach(async () => {
  for (const side of opened.splice(0)) await side.close()
})

const everything = { from: 1, to: Number.MAX_SAFE_INTEGER, backward: false, limit: 10_000 }
const [term, other] = [termOf('type', 'of all'), termOf('type', 'of the second')]
const counter = 'flushes'

/** The n-th flush: a slot with three events of two streams, postings of two terms, and a cell that counts flushes beside one that comes and goes. */
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
  return { from: at(n - 1), to: at(n), streams, slots: [slot], keys: [], keysForgotten: 0, postings: postingsOf(n), cells: cellsOf(n) }
}

function postingsOf(n: number): Flush['postings'] {
  return [
    { term, positions: [n * 3 - 2, n * 3 - 1, n * 3] },
    { term: other, positions: [n * 3 - 2, n * 3] },
  ]
}

function cellsOf(n: number): Flush['cells'] {
  return [
    { key: counter, value: Uint8Array.of(n) },
    { key: 'odd', value: n % 2 === 1 ? Uint8Array.of(n) : null },
  ]
}

/** The postings and cells are those of so many flushes, and no others. */
async function expectFlushes(side: ReadSide, flushes: number): Promise<void> {
  expect(await positionsOf(side, term, everything)).toEqual(Array.from({ length: flushes * 3 }, (_, at) => at + 1))
  expect(await positionsOf(side, other, everything)).toHaveLength(flushes * 2)
  expect(await side.cells('', '', 10)).toEqual(cellsOf(flushes).filter(({ value }) => flushes > 0 && value !== null))
}

async function opening() {
  const { connectionString } = await testDatabase()
  const side = postgresReadSide({ connectionString, reconnectTimeoutMs: 10_000 })
  opened.push(side)
  await side.open('s')
  const another = () => {
    const next = postgresReadSide({ connectionString })
    opened.push(next)
    return next
  }
  return { side, another, sql: (statement: string) => query(connectionString, statement) }
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
    await expectFlushes(side, 3)
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
    const { side, another, sql } = await opening()
    await side.close()
    await sql(`insert into synod_events.migration (name, timestamp) values ('0009_later', '')`)
    const again = another()
    await expect(again.open('s')).rejects.toMatchObject({ code: 'unknown_version' })
  })

  test('of an older build is emptied, forgets its settings and begins anew', async () => {
    const { side, another, sql } = await opening()
    await side.flush(flush(1))
    await side.close()
    await sql(
      `drop table synod_events.postings, synod_events.cells; delete from synod_events.migration where name = '0003_postings_and_cells'`,
    )
    const again = another()
    expect(await again.open('s and a new member')).toEqual({ slot: 0, position: 0, streams: 0 })
    await again.flush(flush(1))
    expect(await again.streamEvents(1, 0, 1)).toHaveLength(2)
    await expectFlushes(again, 1)
  })

  test('of the first build is emptied too', async () => {
    const { side, another, sql } = await opening()
    await side.flush(flush(1))
    await side.close()
    await sql(
      `drop table synod_events.runs, synod_events.postings, synod_events.cells; create table synod_events.events (revision bigint);
        delete from synod_events.migration where name in ('0002_runs', '0003_postings_and_cells')`,
    )
    const again = another()
    expect(await again.open('s')).toEqual({ slot: 0, position: 0, streams: 0 })
    await again.flush(flush(1))
    expect(await again.streamEvents(1, 0, 1)).toHaveLength(2)
  })

  test('takes nothing of a flush that fails at its end', async () => {
    const { side, another, sql } = await opening()
    await side.flush(flush(1))
    await sql('alter table synod_events.mark add constraint refused check (slot < 2)')
    await expect(side.flush(flush(2))).rejects.toMatchObject({ code: 'unavailable' })
    await sql('alter table synod_events.mark drop constraint refused')
    const again = another()
    expect(await again.open('s')).toEqual(flush(1).to)
    await expectFlushes(again, 1)
    await again.flush(flush(2))
    await expectFlushes(again, 2)
  })

  test('names the term whose postings are damaged', async () => {
    const { side, sql } = await opening()
    for (let n = 1; n <= 3; n++) await side.flush(flush(n))
    const damages = [
      `positions = '\\x'`,
      `positions = '\\x01'`,
      `positions = '\\x0182'`,
      `positions = '\\x01028000'`,
      `positions = '\\x0100'`,
      `positions = '\\x020202'`,
      `count = 0`,
      `count = 4`,
      `first = 5`,
    ]
    const hex = Buffer.from(other, 'latin1').toString('hex')
    const row = `where term = decode('${hex}', 'hex') and last = 6`
    for (const damage of damages) {
      await sql(`update synod_events.postings set ${damage} ${row}`)
      await expect(positionsOf(side, other, everything)).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringContaining(hex),
      })
      await sql(`update synod_events.postings set first = 4, count = 2, positions = '\\x0102' ${row}`)
      expect(await positionsOf(side, other, everything)).toHaveLength(6)
    }
  })

  test('finds positions however far apart, and a few of very many', async () => {
    const { side, sql } = await opening()
    const positions = [1, 2, 130, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 2]
    const far = termOf('tag', 'far')
    await side.flush({ ...flush(1), postings: [{ term: far, positions }] })
    expect(await positionsOf(side, far, everything)).toEqual(positions)
    expect(await positionsOf(side, far, { ...everything, from: 3, to: 2 ** 32, backward: true })).toEqual([2 ** 31, 130])
    // Reading ten of a common term reads some rows, not all: a damaged row further on is not met.
    for (let n = 2; n <= 200; n++) await side.flush(flush(n))
    await sql(`update synod_events.postings set positions = '' where count = 2 and last between 150 and 200`)
    expect(await positionsOf(side, other, { ...everything, limit: 10 })).toHaveLength(10)
    expect(await positionsOf(side, other, { ...everything, limit: 10, backward: true })).toHaveLength(10)
    expect(await positionsOf(side, other, { ...everything, to: 100 })).toHaveLength(65)
    await expect(positionsOf(side, other, { ...everything, limit: 150 })).rejects.toMatchObject({ code: 'damaged' })
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
    await expectFlushes(next, mark.slot)
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
