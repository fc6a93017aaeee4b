import { connect } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EventStoreError } from '@synod/events'
import { ask, ScriptedStore, serve, type Served } from './served.ts'

let served: Served
beforeAll(async () => void (served = await serve({ answerMillisecondsMax: 300 })))
afterAll(() => served.close())
beforeEach(() => {
  served.state = 'serving'
  served.store.reads.length = 0
  served.store.onRead = new ScriptedStore().onRead
})

describe('a read', () => {
  test('gives events with every key, and data as it was sent', async () => {
    const response = await fetch(`${served.url}/events`)
    const text = await response.text()
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    expect(text).toContain('12345678901234567890')
    expect(JSON.parse(text)).toEqual({
      events: [
        {
          stream: 'a/b ü',
          revision: 7,
          position: 42,
          id: '00000000-0000-4000-8000-000000000001',
          type: 'Landed',
          data: { big: Number('12345678901234567890'), text: '\n' },
          metadata: null,
          tags: ['x', 'y"z'],
          recordedAt: '2026-11-23T00:00:00.000Z',
        },
      ],
    })
  })

  test.each([
    ['/events', { direction: 'forward', limit: 256, consistency: 'linearizable' }],
    ['/events?from=0', { from: 0 }],
    ['/events?from=9007199254740991&limit=4096', { from: 9_007_199_254_740_991, limit: 4096 }],
    ['/events?direction=backward&limit=1&consistency=local', { direction: 'backward', limit: 1, consistency: 'local' }],
    ['/streams/s?from=3', { stream: 's', from: 3 }],
  ])('asks the store for %s', async (path, expected) => {
    expect((await ask(served.url + path)).status).toBe(200)
    expect(served.store.reads[0]).toMatchObject(expected)
  })

  test.each([
    ['a%2Fb', 'a/b'],
    ['a%252Fb', 'a%2Fb'],
    ['%C3%BC%20x', 'ü x'],
    ['a+b', 'a+b'],
    ['%3F%23', '?#'],
    ['subscription', 'subscription'],
    ['100%25', '100%'],
    [encodeURIComponent('€'.repeat(170)), '€'.repeat(170)],
    ['x'.repeat(3000), 'x'.repeat(3000)],
  ])('decodes the stream’s name %s', async (encoded, name) => {
    expect((await ask(`${served.url}/streams/${encoded}`)).status).toBe(200)
    expect(served.store.reads[0]?.stream).toBe(name)
  })

  test.each([
    ['from=-1', 'from'],
    ['from=1.5', 'from'],
    ['from=', 'from'],
    ['from=9007199254740992', 'from'],
    ['from=1e400', 'from'],
    ['from=NaN', 'from'],
    ['from=1&from=2', 'from'],
    ['limit=0', 'limit'],
    ['limit=4097', 'limit'],
    ['limit=x', 'limit'],
    ['direction=sideways', 'direction'],
    ['consistency=eventual', 'consistency'],
    ['form=1', 'form'],
  ])('refuses %s and names the parameter', async (query, parameter) => {
    for (const path of ['/events', '/streams/s']) {
      const { status, body } = await ask(`${served.url}${path}?${query}`)
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'invalid_argument', parameter })
    }
    expect(served.store.reads).toEqual([])
  })

  test.each(['/streams/%ZZ', '/streams/%C3', '/streams/%', '/events?from=%ZZ'])('refuses bad percent-encoding: %s', async (path) => {
    const socket = connect(served.port, '127.0.0.1')
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.toString()).toContain('"invalid_argument"')
    socket.destroy()
  })

  test('what is no HTTP gets 400 and the server goes on', async () => {
    const socket = connect(served.port, '127.0.0.1')
    socket.write('\u0000\u0001 nonsense\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /)
    expect((await ask(`${served.url}/health/live`)).status).toBe(200)
  })

  test('404 for a stream that is not there', async () => {
    served.store.onRead = () => Promise.reject(new EventStoreError('stream_not_found', 'no stream'))
    const { status, body } = await ask(`${served.url}/streams/nope`)
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'stream_not_found' })
  })

  test('linearizable needs a serving node, local does not', async () => {
    served.state = 'unavailable'
    expect((await ask(`${served.url}/events`)).status).toBe(503)
    expect((await ask(`${served.url}/events?consistency=local`)).status).toBe(200)
  })

  test('ends in time', async () => {
    served.store.onRead = () => new Promise(() => {})
    const { status, body } = await ask(`${served.url}/events`)
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'unavailable' })
  })
})

describe('routes', () => {
  test.each(['/', '/nope', '/streams', '/streams/a/b', '/events/x'])('404 for %s', async (path) => {
    const { status, body } = await ask(served.url + path)
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'not_found' })
  })

  test.each([
    ['PUT', '/streams/s', 'DELETE, GET, HEAD, POST'],
    ['DELETE', '/events', 'GET, HEAD'],
    ['POST', '/events', 'GET, HEAD'],
    ['POST', '/cluster', 'GET, HEAD'],
    ['POST', '/health/ready', 'GET, HEAD'],
    ['QUERY', '/events', 'GET, HEAD'],
    ['PROPFIND', '/streams/s', 'DELETE, GET, HEAD, POST'],
    ['POST', '/streams/s/subscription', 'GET'],
  ])('405 for %s %s', async (method, path, allow) => {
    const { status, body, headers } = await ask(served.url + path, { method, ...(method !== 'DELETE' && { body: '[]' }) })
    expect({ status, code: body.code }).toEqual({ status: 405, code: 'method_not_allowed' })
    expect(headers.get('allow')?.replaceAll(',', ', ').replaceAll(',  ', ', ')).toBe(allow)
  })

  test.each(['/events', '/streams/s/info', '/cluster', '/node', '/health/live', '/nope'])(
    'HEAD %s is as GET without a body',
    async (path) => {
      const [head, get] = [await fetch(served.url + path, { method: 'HEAD' }), await fetch(served.url + path)]
      const text = await get.text()
      expect(await head.text()).toBe('')
      expect({ status: head.status, length: head.headers.get('content-length') }).toEqual({
        status: get.status,
        length: path === '/nope' ? (expect.any(String) as string) : String(Buffer.byteLength(text)),
      })
    },
  )

  test.each([
    ['GET /events HTTP/1.1\r\n\r\n', 400, /Host/],
    ['GET /events HTTP/1.1\r\nhost: x\r\nexpect: foo\r\n\r\n', 417, /Expect is \\"foo\\"/],
    ['POST /streams/s HTTP/1.1\r\nhost: x\r\ncontent-type: \r\ncontent-length: 2\r\n\r\n[]', 400, /content-type .*application\/json/],
    ['POST /streams/s HTTP/1.1\r\nhost: x\r\ncontent-type: x/\r\ncontent-length: 2\r\n\r\n[]', 400, /content-type .*application\/json/],
  ])('%j is refused with %i and the reason', async (request, status, message) => {
    const socket = connect(served.port, '127.0.0.1')
    socket.write(request)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer.toString()).toMatch(/"code":"invalid_argument"/)
    expect(answer.toString()).toMatch(message)
  })

  test('HEAD of a subscription does not hang', async () => {
    expect((await fetch(`${served.url}/events/subscription`, { method: 'HEAD' })).status).toBe(405)
  })

  test('live always, ready only when serving', async () => {
    expect((await ask(`${served.url}/health/live`)).status).toBe(200)
    expect((await ask(`${served.url}/health/ready`)).status).toBe(200)
    served.state = 'unavailable'
    expect((await ask(`${served.url}/health/live`)).status).toBe(200)
    const { status, body } = await ask(`${served.url}/health/ready`)
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'unavailable' })
    expect(body.message).toMatch(/no quorum answers/)
  })

  test('/cluster says what is known, without a quorum too', async () => {
    served.state = 'unavailable'
    const { status, body } = await ask(`${served.url}/cluster`)
    expect(status).toBe(200)
    expect(body).toEqual({
      cluster: '0'.repeat(32),
      id: 'n1',
      role: 'leader',
      leader: 'n1',
      protocol: 'none',
      mode: 'multi',
      transport: 'none',
      epoch: 1,
      nodes: [
        { id: 'n1', url: 'http://127.0.0.1:1', pid: process.pid, state: 'unavailable', decidedSlot: 3, appliedSlot: 2, position: 42 },
        { id: 'n2', url: 'http://127.0.0.1:1', pid: null, state: 'unreachable', decidedSlot: null, appliedSlot: null, position: null },
      ],
    })
  })
})
