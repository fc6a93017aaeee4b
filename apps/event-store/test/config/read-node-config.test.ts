import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError, readNodeConfig, type NodeConfig } from '@synod/event-store'

const folder = mkdtempSync(join(tmpdir(), 'synod-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const good = {
  id: 'n1',
  cluster: '0'.repeat(32),
  peers: { n1: { address: '127.0.0.1:7001', url: 'http://127.0.0.1:2113' } },
  http: { port: 2113 },
  transport: { package: '@synod/transport-tcp' },
  store: { package: '@synod/log-postgres', options: { connectionString: 'postgres://a@b/c', schema: 's' } },
  readSide: { package: '@synod/events-postgres' },
}

function read(content: unknown, options: Parameters<typeof readNodeConfig>[1] = {}): NodeConfig {
  const file = join(folder, 'config.json')
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return readNodeConfig(file, options)
}

function refusal(content: unknown, options: Parameters<typeof readNodeConfig>[1] = {}): string {
  try {
    read(content, options)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
  throw new Error('it was accepted')
}

describe('a node’s configuration', () => {
  test('fills in what is left out', () => {
    const config = read(good)
    expect(config.http).toEqual({ host: '127.0.0.1', port: 2113 })
    expect(config.consensus).toEqual({ package: '@synod/consensus-paxos', options: { mode: 'multi' } })
    expect(config.limits.answerMillisecondsMax).toBe(3500)
    expect(config.transport.options).toEqual({})
  })

  test('the environment stands above the file, options above both', () => {
    const environment = { SYNOD_HTTP_PORT: '3000', SYNOD_HTTP_HOST: '::1', SYNOD_STORE_OPTIONS: '{"connectionString":"postgres://x@y/z"}' }
    const config = read(good, { environment })
    expect(config.http).toEqual({ host: '::1', port: 3000 })
    expect(config.store.options).toEqual({ connectionString: 'postgres://x@y/z', schema: 's' })
    expect(read(good, { environment, httpPort: 4000 }).http.port).toBe(4000)
  })

  test.each([
    ['{', /is not JSON/],
    ['[]', /must hold one JSON object/],
    [{ ...good, transprot: {} }, /: transprot: no such key; did you mean transport\?/],
    [{ ...good, http: { prot: 1, port: 2 } }, /: http\.prot: no such key; did you mean http\.port\?/],
    [
      { ...good, peers: { n1: { address: 'a', url: 'http://x', addres: 'b' } } },
      /: peers\.n1\.addres: no such key; did you mean peers\.n1\.address\?/,
    ],
    [{ ...good, limits: { bodyBytes: 1 } }, /: limits\.bodyBytes: no such key; did you mean limits\.bodyBytesMax\?/],
    [{ ...good, zzzzzzzzzzzz: 1 }, /: zzzzzzzzzzzz: no such key; known here: id, cluster/],
    [{ ...good, http: { port: 'x' } }, /: http\.port: /],
    [{ ...good, http: { port: 0 } }, /: http\.port: /],
    [{ ...good, id: 'N 1' }, /: id: must be 1 to 64 characters/],
    [{ ...good, cluster: 'x' }, /: cluster: must be 32 hexadecimal digits/],
    [{ ...good, id: 'n9' }, /: peers: this node, n9, is not among them \(n1\)/],
    [{ ...good, store: undefined }, /: store: /],
    [{ ...good, limits: { answerMillisecondsMax: 60_000 } }, /: limits\.answerMillisecondsMax: /],
  ])('refuses %j', (content, message) => {
    expect(refusal(content)).toMatch(message)
  })

  test('refuses variables that make no sense, and a file that is not there', () => {
    expect(refusal(good, { environment: { SYNOD_HTTP_PORT: 'x' } })).toMatch(/http\.port/)
    expect(refusal(good, { environment: { SYNOD_STORE_OPTIONS: '{' } })).toMatch(/SYNOD_STORE_OPTIONS: is not JSON/)
    expect(() => readNodeConfig(join(folder, 'nope.json'))).toThrow(/cannot be read \(ENOENT\)/)
  })
})
