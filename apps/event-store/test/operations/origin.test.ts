/** What a page in somebody's browser may do at a node that asks nobody who they are. */
import { request } from 'node:http'
import { nodeConfigSchema, openHttpServer } from '@synod/event-store'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serve, type Served } from '../http/served.ts'

let served: Served
beforeAll(async () => void (served = await serve()))
afterAll(() => served?.close())

/** Its status and code. fetch would not send all of these headers. */
function ask(method: string, path: string, headers: Record<string, string>, port = served.port): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const { code } = (text.startsWith('{') ? JSON.parse(text) : {}) as { code?: string }
        resolve(`${response.statusCode} ${code ?? ''}`.trim())
      })
    })
    sent.on('error', reject)
    sent.end(method === 'POST' ? '[{"type":"A","data":1}]' : undefined)
  })
}

describe('an append', () => {
  test.each([
    ['of curl', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['of a service', { 'content-type': 'application/json', 'sec-fetch-mode': 'cors' }],
    ['of somebody’s own address bar', { 'sec-fetch-site': 'none' }],
    ['of a page served from this machine', { origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site' }],
    ['of another one', { origin: 'http://127.0.0.1:3000' }],
    ['of one at the loopback of IPv6', { origin: 'http://[::1]:3000' }],
  ])('%s is taken', async (_who, headers) => {
    expect(await ask('POST', '/streams/s', headers)).toBe('201')
  })

  test.each([
    ['of a page elsewhere', { origin: 'https://elsewhere.example', 'content-type': 'text/plain' }],
    ['of a form without an origin', { origin: 'null', 'content-type': 'application/x-www-form-urlencoded' }],
    ['of a page whose name leads here by now (rebinding)', { origin: 'http://elsewhere.example:2113', host: 'elsewhere.example:2113' }],
    ['of a name that only looks like this machine', { origin: 'http://localhost.elsewhere.example' }],
    ['of a page that hides its origin', { 'sec-fetch-site': 'cross-site' }],
    ['of a page of a sibling', { 'sec-fetch-site': 'same-site' }],
  ])('%s is refused', async (_who, headers) => {
    const before = served.store.appends.length
    expect(await ask('POST', '/streams/s', headers)).toBe('403 origin_not_allowed')
    expect(served.store.appends).toHaveLength(before)
  })
})

test('a read is answered, and without the header that would let a foreign page see it', async () => {
  const headers = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }
  expect(await ask('GET', '/events', headers)).toBe('200')
  const response = await fetch(`${served.url}/events`, { headers: { origin: 'https://elsewhere.example' } })
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})

test('a connection is opened for pages of this machine only', async () => {
  const key = Buffer.alloc(16).toString('base64')
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': key }
  expect(await ask('GET', '/connection', { ...upgrade, origin: 'https://elsewhere.example' })).toBe('403 origin_not_allowed')
})

test('an origin that the configuration lists may write', async () => {
  const http = nodeConfigSchema.shape.http
  expect(http.safeParse({ port: 1, origins: ['https://app.example/'] }).success).toBe(false)
  const { origins } = http.parse({ port: 1, origins: ['https://app.example'] })
  const server = await openHttpServer({
    host: '127.0.0.1',
    port: 0,
    origins,
    limits: nodeConfigSchema.shape.limits.parse({}),
    logger: pino({ level: 'silent' }),
    node: {
      id: 'n1',
      cluster: '',
      members: [],
      transport: '',
      store: () => served.store,
      onChange: () => () => {},
      status: () => ({
        state: 'serving',
        role: 'leader',
        leader: 'n1',
        protocol: '',
        mode: '',
        epoch: 1,
        decidedSlot: 0,
        appliedSlot: 0,
        position: 0,
      }),
    },
  })
  try {
    expect(await ask('POST', '/streams/s', { origin: 'https://app.example' }, server.port)).toBe('201')
    expect(await ask('POST', '/streams/s', { origin: 'https://app.example:8443' }, server.port)).toBe('403 origin_not_allowed')
  } finally {
    await server.close()
  }
})
