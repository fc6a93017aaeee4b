import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dataFolder } from '@synod/servers'
import { expect, it } from 'vitest'

it('is SYNOD_DATA when set', () => {
  expect(dataFolder({ environment: { SYNOD_DATA: '/somewhere/else' } })).toEqual({ path: '/somewhere/else' })
})

it('is .synod in the clone', () => {
  expect(dataFolder({ clone: '/usr', environment: {} })).toEqual({ path: '/usr/.synod' })
})

it('is elsewhere, and says so, as root with a clone that no other user can reach', () => {
  const closed = mkdtempSync(join(tmpdir(), 'synod-closed-')) // 0700
  const clone = join(closed, 'clone')
  mkdirSync(clone)
  const folder = dataFolder({ clone, environment: {} })
  if (process.getuid?.() === 0) {
    expect(folder.path).toMatch(/^\/var\/lib\/synod\/[0-9a-f]{12}$/)
    expect(folder.notice).toContain(closed)
  } else {
    expect(folder).toEqual({ path: join(clone, '.synod') })
  }
  rmSync(closed, { recursive: true })
})
