import { findChromium } from '@synod/servers'
import { afterEach, expect, it, vi } from 'vitest'

afterEach(() => vi.unstubAllEnvs())

it('refuses a CHROMIUM that is none', async () => {
  vi.stubEnv('CHROMIUM', '/does/not/exist')
  await expect(findChromium()).rejects.toMatchObject({ code: 'chromium_not_found' })
})

it('finds one that runs, the second time without a download', { timeout: 240_000 }, async () => {
  const first = await findChromium()
  const startedAt = performance.now()
  expect(await findChromium()).toEqual(first)
  expect(performance.now() - startedAt).toBeLessThan(15_000)
})
