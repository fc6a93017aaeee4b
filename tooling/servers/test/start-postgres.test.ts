import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerError, startPostgres } from '@synod/servers'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isRunning, killHard, runAsChild } from './processes.ts'

async function query(server: { readonly connectionString: string }, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: server.connectionString })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

let folder: string
let dataDir: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'synod-servers-test-')) // 0700: as root, `nobody` cannot pass through it
  dataDir = join(folder, 'n1', 'postgres')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('startPostgres', () => {
  it('starts a durable server with checksums on loopback, and keeps port and data over a stop', async () => {
    const first = await startPostgres({ dataDir })
    const settings = await query(
      first,
      `select name, setting from pg_settings where name in ('fsync', 'data_checksums', 'synchronous_commit', 'full_page_writes', 'listen_addresses')`,
    )
    expect(Object.fromEntries(settings.map((row) => [row.name, row.setting]))).toEqual({
      fsync: 'on',
      data_checksums: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      listen_addresses: '127.0.0.1',
    })
    await query(first, 'create table kept as select 42 as answer')
    await first.stop()
    await first.stop()
    expect(isRunning(first.pid)).toBe(false)

    const second = await startPostgres({ dataDir })
    expect(second.port).toBe(first.port)
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }])
    await second.stop()
  })

  it('lets nobody in without the password', async () => {
    const server = await startPostgres({ dataDir })
    await expect(query({ connectionString: server.connectionString.replace(server.password, 'wrong') }, 'select 1')).rejects.toThrow(
      /password/,
    )
    await server.stop()
  })

  it('recovers what was committed when postmaster and children were killed', async () => {
    const first = await startPostgres({ dataDir })
    await query(first, 'create table kept as select 42 as answer')
    await first.kill()
    const second = await startPostgres({ dataDir })
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }])
    await second.stop()
  })

  it('starts beside busy children of a postmaster that alone was killed', async () => {
    const first = await startPostgres({ dataDir })
    const client = new Client({ connectionString: first.connectionString })
    client.on('error', () => {})
    await client.connect()
    const busy = client.query(`do $$ declare n bigint := 0; begin loop n := n + 1; end loop; end $$`).catch(() => 'cut off')
    await query(first, 'select pg_sleep(0.1)')
    process.kill(first.pid, 'SIGKILL')
    await first.exited
    const second = await startPostgres({ dataDir })
    expect(await busy).toBe('cut off')
    expect(await query(second, 'select 1 as one')).toEqual([{ one: 1 }])
    await second.stop()
  })

  it('takes over the server of an owner that was killed', async () => {
    const { child, printed } = await runAsChild<{ pid: number }>(
      `import { startPostgres } from '@synod/servers'; console.log(JSON.stringify({ pid: (await startPostgres({ dataDir: ${JSON.stringify(dataDir)} })).pid }))`,
    )
    await expect(startPostgres({ dataDir })).rejects.toMatchObject({ code: 'data_folder_in_use' })
    await killHard(child)
    expect(isRunning(printed.pid)).toBe(true)
    const server = await startPostgres({ dataDir })
    expect(server.pid).not.toBe(printed.pid)
    expect(isRunning(printed.pid)).toBe(false)
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }])
    await server.stop()
  })

  it('leaves a stranger alone who was given the number in a stale postmaster.pid', async () => {
    const first = await startPostgres({ dataDir })
    const file = join(dataDir, 'postmaster.pid')
    const stale = readFileSync(file, 'utf8').replace(String(first.pid), String(process.pid))
    await first.kill()
    writeFileSync(file, stale)
    const second = await startPostgres({ dataDir })
    expect(await query(second, 'select 1 as one')).toEqual([{ one: 1 }])
    await second.stop()
  })

  it('moves to another port when its own was taken meanwhile', async () => {
    const first = await startPostgres({ dataDir })
    await first.stop()
    const thief = createServer().listen(first.port, '127.0.0.1')
    const second = await startPostgres({ dataDir })
    expect(second.port).not.toBe(first.port)
    await second.stop()
    thief.close()
  })

  it('refuses a second owner, and a folder that is not its own', async () => {
    const server = await startPostgres({ dataDir })
    await expect(startPostgres({ dataDir })).rejects.toBeInstanceOf(ServerError)
    await expect(startPostgres({ dataDir })).rejects.toMatchObject({ code: 'data_folder_in_use' })
    await server.stop()

    const foreign = join(folder, 'foreign')
    mkdirSync(foreign)
    writeFileSync(join(foreign, 'letter.txt'), 'dear reader')
    await expect(startPostgres({ dataDir: foreign })).rejects.toMatchObject({ code: 'data_folder_foreign' })
    expect(existsSync(join(foreign, 'letter.txt'))).toBe(true)
  })

  it('says what the log says when a setting is wrong', async () => {
    await expect(startPostgres({ dataDir, settings: { shared_buffers: 'many' } })).rejects.toThrow(/shared_buffers/)
  })

  it.runIf(process.getuid?.() === 0)('run as root, serves a folder that an ordinary user made', async () => {
    const first = await startPostgres({ dataDir })
    await first.stop()
    const ids = { uid: 12_345, gid: 12_345 }
    for (const name of ['.', ...readdirSync(dataDir, { recursive: true })]) lchownSync(join(dataDir, String(name)), ids.uid, ids.gid)
    const second = await startPostgres({ dataDir })
    expect(statSync(`/proc/${second.pid}`).uid).toBe(ids.uid)
    await second.stop()
  })

  it('of two starters at once, one gets the folder', async () => {
    const outcomes = await Promise.allSettled([startPostgres({ dataDir }), startPostgres({ dataDir }), startPostgres({ dataDir })])
    const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(started).toHaveLength(1)
    expect(await query(started[0]!, 'select 1 as one')).toEqual([{ one: 1 }])
    await started[0]!.stop()
  })

  it('starts anew after an initdb that was cut short', async () => {
    mkdirSync(`${dataDir}.new-1`, { recursive: true })
    writeFileSync(join(`${dataDir}.new-1`, 'PG_VERSION'), '18\n')
    chmodSync(join(folder, 'n1'), 0o755)
    const server = await startPostgres({ dataDir })
    expect(existsSync(`${dataDir}.new-1`)).toBe(false)
    await server.stop()
  })
})
