import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectionPath, subprotocol } from '@synod/client-protocol'
import { post, serve, type Served } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'

let served: Served
beforeAll(async () => void (served = await serve({}, { origins: ['https://app.example'] })))
afterAll(() => served.close())

const good = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': randomBytes(16).toString('base64'),
  'sec-websocket-protocol': subprotocol,
}

/** The answer to a handshake that may be refused: its status, and its body when it has one. */
async function shake(
  headers: Record<string, string | undefined>,
  path = connectionPath,
): Promise<{ status: number; code?: unknown; message?: unknown }> {
  const all = Object.entries({ ...good, ...headers }).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const asked = request({ port: served.port, host: '127.0.0.1', path, headers: Object.fromEntries(all), agent: false }).end()
  const answered = once(asked, 'response') as Promise<[IncomingMessage]>
  const upgraded = once(asked, 'upgrade') as Promise<[IncomingMessage, Socket]>
  answered.catch(() => {})
  upgraded.catch(() => {})
  const [response, socket] = await Promise.race([answered, upgraded])
  if (socket !== undefined) {
    socket.destroy()
    return { status: response.statusCode ?? 0 }
  }
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk)
  const { code, message } = JSON.parse(body) as { code: unknown; message: unknown }
  return { status: response.statusCode ?? 0, code, message }
}

describe('a handshake', () => {
  test('with the subprotocol is accepted, among others too', async () => {
    expect(await shake({})).toEqual({ status: 101 })
    expect(await shake({ 'sec-websocket-protocol': `synod.v9, ${subprotocol}` })).toEqual({ status: 101 })
  })

  test('says which subprotocol was chosen, and no extension', async () => {
    await using client = await FrameClient.connect(served.port, { perMessageDeflate: true })
    expect(client.webSocket.protocol).toBe(subprotocol)
    expect(client.webSocket.extensions).toBe('')
  })

  test.each([
    ['no subprotocol', { 'sec-websocket-protocol': undefined }, 400, /offers none: this node speaks synod\.v1/],
    ['another subprotocol', { 'sec-websocket-protocol': 'synod.v2' }, 400, /offers "synod\.v2": this node speaks synod\.v1/],
    ['another version', { 'sec-websocket-version': '12' }, 400, /Sec-WebSocket-Version must be 13/],
    ['no key', { 'sec-websocket-key': undefined }, 400, /Sec-WebSocket-Key/],
    ['a key that is none', { 'sec-websocket-key': 'x' }, 400, /Sec-WebSocket-Key/],
    ['no upgrade', { upgrade: undefined, connection: 'close' }, 426, /WebSocket of subprotocol synod\.v1/],
    ['another upgrade', { upgrade: 'h2c' }, 426, /WebSocket of subprotocol synod\.v1/],
  ])('with %s is refused, and the body says why', async (_, headers, status, message) => {
    const answer = await shake(headers as Record<string, string | undefined>)
    expect(answer).toEqual({ status, code: 'invalid_argument', message: expect.stringMatching(message) as string })
  })

  test('a query is refused', async () => {
    expect(await shake({}, `${connectionPath}?x=1`)).toMatchObject({ status: 400, code: 'invalid_argument' })
  })

  test('elsewhere is a request like any other', async () => {
    expect(await shake({}, '/nowhere')).toMatchObject({ status: 404, code: 'not_found' })
    expect(await shake({ upgrade: 'h2c' }, '/health/live')).toMatchObject({ status: 200 })
  })

  test('other methods are 405', async () => {
    expect((await post(`${served.url}${connectionPath}`, '')).status).toBe(405)
  })
})

describe('a page in a browser', () => {
  test.each(['https://evil.example', 'http://127.0.0.1.evil.example', 'null', 'http://10.0.0.1:2113'])(
    'of %s gets no connection',
    async (origin) => {
      const answer = await shake({ origin })
      expect(answer).toMatchObject({ status: 403, code: 'origin_not_allowed', message: expect.stringContaining(origin) as string })
    },
  )

  test('of another site, that does not say which, gets none either', async () => {
    expect(await shake({ 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 403 })
  })

  test('of a name that was bound to this machine’s address gets none: what it asks for is not what counts', async () => {
    expect(await shake({ origin: 'http://rebound.example:2113', host: 'rebound.example:2113' })).toMatchObject({ status: 403 })
  })

  test('of this machine, or that is listed, gets one', async () => {
    for (const origin of [served.url, `http://localhost:${served.port}`, 'https://app.example'])
      expect(await shake({ origin })).toEqual({ status: 101 })
  })
})
