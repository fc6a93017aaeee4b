import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadPackage } from '@synod/event-store'

const folder = mkdtempSync(join(tmpdir(), 'synod-packages-'))
const config = join(folder, 'config.json')

function install(name: string, manifest: Record<string, unknown>, source: string): void {
  const path = join(folder, 'node_modules', name)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, version: '1.0.0', type: 'module', ...manifest }))
  writeFileSync(join(path, 'index.js'), source)
}

beforeAll(() => {
  install('plain', { exports: './index.js' }, 'export const transport = { name: "plain" }')
  install('import-only', { exports: { '.': { import: './index.js' } } }, 'export const transport = { name: "import-only" }')
  install('@synod/transport-tcp', { exports: './index.js' }, 'export const transport = { name: "my own" }')
  install('many', { exports: './index.js' }, Array.from({ length: 12 }, (_, at) => `export const x${at + 10} = 1`).join('\n'))
  install('broken', { exports: './index.js' }, 'throw new Error("ouch")')
  writeFileSync(join(folder, 'local.js'), 'export const protocol = 1')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a package named in a configuration', () => {
  test.each(['plain', 'import-only'])('%s is found beside the file', async (name) => {
    expect(await loadPackage(name, ['transport'], config)).toEqual({ name: 'transport', value: { name } })
  })

  test('the one beside the file wins over the app’s own', async () => {
    expect((await loadPackage('@synod/transport-tcp', ['transport'], config)).value).toEqual({ name: 'my own' })
  })

  test('else the app’s own is taken', async () => {
    expect((await loadPackage('@synod/consensus', ['hostProtocol'], config)).value).toBeTypeOf('function')
  })

  test('a path is relative to the file', async () => {
    expect(await loadPackage('./local.js', ['loglet', 'protocol'], config)).toEqual({ name: 'protocol', value: 1 })
  })

  test.each([
    ['nowhere', 'package_not_found', /nowhere is found neither from .* nor from the app/],
    ['plain', 'package_export_missing', /plain .* has no export `protocol` \(it has transport\)/],
    ['many', 'package_export_missing', /no export `protocol` \(it has x10, .*x19 and 2 more\)/],
    ['broken', 'package_failed', /broken .* does not load: ouch/],
  ])('%s is refused as %s', async (name, code, message) => {
    await expect(loadPackage(name, ['protocol'], config)).rejects.toMatchObject({
      name: 'ConfigError',
      code,
      message: expect.stringMatching(message) as string,
    })
  })
})
