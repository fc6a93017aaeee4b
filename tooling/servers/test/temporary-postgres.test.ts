import { existsSync } from 'node:fs'
import { temporaryPostgres, testDatabase } from '@synod/servers'
import { Client } from 'pg'
import { expect, it, vi } from 'vitest'
import { isRunning, killHard, runAsChild } from './processes.ts'

async function answer(connectionString: string, text: string): Promise<unknown> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    return (await client.query<{ answer: unknown }>(text)).rows[0]?.answer
  } finally {
    await client.end()
  }
}

it('a temporary server restarts with its data and leaves no folder', async () => {
  let server = await temporaryPostgres()
  await answer(server.connectionString, 'create table kept as select 42 as answer')
  await server.kill()
  server = await server.restart()
  expect(await answer(server.connectionString, 'select answer from kept')).toBe(42)
  await server.remove()
  expect(existsSync(server.dataDir)).toBe(false)
})

it('a temporary server goes with a process that was killed', async () => {
  const { child, printed } = await runAsChild<{ pid: number; dataDir: string }>(
    `import { temporaryPostgres } from '@synod/servers'; const { pid, dataDir } = await temporaryPostgres(); console.log(JSON.stringify({ pid, dataDir }))`,
  )
  expect(existsSync(printed.dataDir)).toBe(true)
  await killHard(child)
  await vi.waitFor(() => expect(existsSync(printed.dataDir)).toBe(false), { timeout: 10_000, interval: 50 })
  expect(isRunning(printed.pid)).toBe(false)
})

it('test databases share a server and nothing else', async () => {
  const [one, two] = await Promise.all([testDatabase(), testDatabase()])
  expect(one.port).toBe(two.port)
  expect(one.database).not.toBe(two.database)
  await answer(one.connectionString, 'create table mine as select 1 as answer')
  expect(await answer(two.connectionString, `select to_regclass('mine') as answer`)).toBeNull()
  await one.drop()
  await expect(answer(one.connectionString, 'select 1')).rejects.toThrow(/does not exist/)
  await two.drop()
})
