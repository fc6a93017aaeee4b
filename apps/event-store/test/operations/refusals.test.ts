import { temporaryPostgres } from '@synod/servers'
import { expect, test } from 'vitest'
import { ThreeMachines } from './three-machines.ts'

test('on a Postgres that loses what it acknowledged nothing is founded and no node runs', async () => {
  await using postgres = await temporaryPostgres({ settings: { fsync: 'off' } })
  await using machines = await ThreeMachines.prepare(() => Promise.resolve(postgres))
  const why = 'Postgres runs with fsync = off (set by: command line): a power cut loses acknowledged writes.'
  machines.start('n2')
  expect(await machines.init('n1')).toMatchObject({ code: 1, printed: expect.stringContaining(`error: ${why}`) as string })
  expect(await machines.ended('n2')).toBe(78)
  const failed = machines.log('n2').at(-1)
  expect(failed).toMatchObject({ event: 'failed', level: 'fatal', code: 'unsafe_settings', node: 'n2' })
  expect(failed?.msg).toContain(why)
})
