import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EventStoreError, WrongExpectedRevisionError } from '@synod/events'
import { ask, post, ScriptedStore, serve, type Served } from './served.ts'

let served: Served
beforeAll(async () => void (served = await serve({ bodyBytesMax: 100_000, answerMillisecondsMax: 300 })))
afterAll(() => served.close())
beforeEach(() => {
  served.state = 'serving'
  served.store.appends.length = 0
  served.store.onAppend = new ScriptedStore().onAppend
})
async function raw(request: string | Buffer): Promise<string> {
  const socket = connect(served.port, '127.0.0.1')
  socket.write(request)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return answer.toString()
}
const append = (body: string | Uint8Array<ArrayBuffer>, query = '', headers: Record<string, string> = {}) =>
  post(`${served.url}/streams/s${query}`, body, headers)

describe('an append', () => {
  test('answers 201 with the last event’s revision and position', async () => {
    const { status, body } = await append('[{"type":"A","data":1}]')
    expect({ status, body }).toEqual({ status: 201, body: { revision: 1, position: 2 } })
  })

  test('hands data and metadata on as they were written, byte for byte', async () => {
    await append(
      ' [ {"tags" : ["t"], "data" : {"n": 12345678901234567890, "]}": "\\"," } , "metadata":[1.0, 2e400] ,"type":"A"},{"type":"B","data":null,"metadata":null}]',
    )
    const [first, second] = served.store.appends[0]?.events ?? []
    expect(Buffer.from(first?.data ?? []).toString()).toBe('{"n": 12345678901234567890, "]}": "\\"," }')
    expect(Buffer.from(first?.metadata ?? []).toString()).toBe('[1.0, 2e400]')
    expect(first?.tags).toEqual(['t'])
    expect(Buffer.from(second?.data ?? []).toString()).toBe('null')
    expect(second).not.toHaveProperty('metadata')
  })

  test.each([
    ['', 'any'],
    ['?expected=any', 'any'],
    ['?expected=noStream', 'noStream'],
    ['?expected=streamExists', 'streamExists'],
    ['?expected=0', 0],
    ['?expected=9007199254740991', 9_007_199_254_740_991],
  ])('expects what the query says: %s', async (query, expected) => {
    expect((await append('[{"type":"A","data":1}]', query)).status).toBe(201)
    expect(served.store.appends[0]?.expected).toBe(expected)
  })

  test.each(['-1', '1.5', '9007199254740992', '99999999999999999999', 'anything', '', '1e3', '0x1', ' 1', '01', '00'])(
    'refuses expected=%j and says what is allowed',
    async (value) => {
      const { status, body } = await append('[{"type":"A","data":1}]', `?expected=${encodeURIComponent(value)}`)
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'invalid_argument', parameter: 'expected' })
      expect(body.message).toMatch(/any, noStream, streamExists and integers from 0 to 9007199254740991/)
    },
  )

  test.each([
    ['', {}],
    ['{', {}],
    ['[{"type":"A","data":1}', {}],
    ['{"type":"A","data":1}', {}],
    ['"x"', {}],
    ['[]', {}],
    ['[1]', { event: 0 }],
    ['[{"type":"A","data":1},null]', { event: 1 }],
    ['[{"data":1}]', { event: 0, field: 'type' }],
    ['[{"type":"","data":1}]', { event: 0, field: 'type' }],
    ['[{"type":7,"data":1}]', { event: 0, field: 'type' }],
    ['[{"type":"\\ud800","data":1}]', { event: 0, field: 'type' }],
    ['[{"type":"A"}]', { event: 0, field: 'data' }],
    ['[{"type":"A","data":1},{"type":"A","data":1,"id":"x"}]', { event: 1, field: 'id' }],
    ['[{"type":"A","data":1,"id":null}]', { event: 0, field: 'id' }],
    ['[{"type":"A","data":1,"tags":"t"}]', { event: 0, field: 'tags' }],
    ['[{"type":"A","data":1,"tags":[1]}]', { event: 0, field: 'tags' }],
    ['[{"type":"A","data":1,"datum":1}]', { event: 0, field: 'datum' }],
    ['[{"type":"A","data":1,"__proto__":{}}]', { event: 0, field: '__proto__' }],
    ['[{"type":"A","data":1,"type":"B"}]', { event: 0, field: 'type' }],
    ['[{"type":"A","data":1}]]', {}],
    ['\uFEFF[{"type":"A","data":1}]', {}],
  ])('refuses the body %j', async (text, details) => {
    const { status, body } = await append(text)
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'invalid_argument', ...details })
    expect(served.store.appends).toEqual([])
  })

  test('refuses a body that is not UTF-8', async () => {
    const { status, body } = await append(Buffer.from('[{"type":"A","data":"\xff"}]', 'latin1'))
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_argument' })
  })

  test.each(['[', '{"a":'])('refuses a bomb of %j without falling over', async (unit) => {
    const { status, body } = await append(unit.repeat(15_000))
    expect(status).toBe(400)
    expect(body.message).toMatch(/nests deeper than 256/)
  })

  test('refuses too many events', async () => {
    const { status, body } = await append(`[${Array.from({ length: 4097 }, () => '{"type":"A","data":1}').join(',')}]`)
    expect({ status, code: body.code }).toEqual({ status: 413, code: 'too_large' })
  })

  test('refuses a body that is too large, known beforehand or not, and the connection lives', async () => {
    const large = `[{"type":"A","data":"${'x'.repeat(200_000)}"}]`
    const known = await append(large)
    expect({ status: known.status, code: known.body.code }).toEqual({ status: 413, code: 'too_large' })
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(large))
        controller.close()
      },
    })
    const unknown = await ask(`${served.url}/streams/s`, { method: 'POST', body: stream, duplex: 'half' } as RequestInit)
    expect({ status: unknown.status, code: unknown.body.code }).toEqual({ status: 413, code: 'too_large' })
  })

  test('answers 413 before the body has come', async () => {
    const socket = connect(served.port, '127.0.0.1')
    socket.write('POST /streams/s HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n[')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  test('a client that goes in the middle of its body does no harm', async () => {
    const socket = connect(served.port, '127.0.0.1')
    socket.write('POST /streams/s HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{')
    await once(socket, 'connect')
    socket.destroy()
    expect((await append('[{"type":"A","data":1}]')).status).toBe(201)
    expect(served.store.appends).toHaveLength(1)
  })

  test('hands the Idempotency-Key on', async () => {
    await append('[{"type":"A","data":1}]', '', { 'idempotency-key': 'k1' })
    expect(served.store.appends[0]?.idempotencyKey).toBe('k1')
    expect((await append('[{"type":"A","data":1}]', '', { 'idempotency-key': '' })).status).toBe(400)
  })

  test('two Idempotency-Keys are none', async () => {
    const answer = await raw(
      'POST /streams/s HTTP/1.1\r\nhost: x\r\nidempotency-key: a\r\nIdempotency-Key: b\r\ncontent-length: 21\r\n\r\n[{"type":"A","data":1}]',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/Idempotency-Key must be one value.*there are 2/)
    expect(served.store.appends).toEqual([])
  })

  test('a body that is encoded is refused by name', async () => {
    const { status, body } = await append('[{"type":"A","data":1}]', '', { 'content-encoding': 'gzip' })
    expect({ status, code: body.code }).toEqual({ status: 415, code: 'invalid_argument' })
    expect(body.message).toMatch(/content-encoding is "gzip": allowed is identity/)
    expect((await append('[{"type":"A","data":1}]', '', { 'content-encoding': 'identity' })).status).toBe(201)
  })

  test('a body in pieces of one byte comes out whole', async () => {
    const text = '[{"type":"A","data":"äöü"}]'
    const pieces = [...Buffer.from(text)].map((byte) => Buffer.from([0x31, 0x0d, 0x0a, byte, 0x0d, 0x0a]))
    const head = 'POST /streams/s HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
    expect(await raw(Buffer.concat([Buffer.from(head), ...pieces, Buffer.from('0\r\n\r\n')]))).toMatch(/^HTTP\/1\.1 201 /)
    expect(Buffer.from(served.store.appends[0]?.events[0]?.data ?? []).toString()).toBe('"äöü"')
  })

  test('a conflict says what was expected and what is', async () => {
    served.store.onAppend = () => Promise.reject(new WrongExpectedRevisionError('s', 3, 'noStream'))
    const { status, body } = await append('[{"type":"A","data":1}]', '?expected=3')
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'wrong_expected_revision', stream: 's', expected: 3, actual: 'noStream' })
  })

  test.each([
    ['invalid_argument', 400, 'invalid_argument'],
    ['too_large', 413, 'too_large'],
    ['event_id_conflict', 409, 'event_id_conflict'],
    ['idempotency_key_reused', 409, 'idempotency_key_reused'],
    ['stream_not_found', 404, 'stream_not_found'],
    ['unavailable', 503, 'unavailable'],
    ['busy', 503, 'busy'],
    ['aborted', 503, 'unavailable'],
  ] as const)('answers %s with %i', async (thrown, expectedStatus, code) => {
    served.store.onAppend = () => Promise.reject(new EventStoreError(thrown, 'because'))
    const { status, body, headers } = await append('[{"type":"A","data":1}]')
    expect({ status, code: body.code, retry: headers.get('retry-after') }).toEqual({
      status: expectedStatus,
      code,
      retry: status === 503 ? '1' : null,
    })
  })

  test('answers 500 for what nobody foresaw, without its insides, and goes on', async () => {
    served.store.onAppend = () => Promise.reject(new TypeError('secret'))
    const { status, body } = await append('[{"type":"A","data":1}]')
    expect({ status, code: body.code }).toEqual({ status: 500, code: 'internal' })
    expect(JSON.stringify(body)).not.toContain('secret')
  })

  test.each([['heeds the signal'], ['heeds nothing']])('ends in time when the store %s', async (how) => {
    let aborted = false
    served.store.onAppend = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true
          if (how === 'heeds the signal') reject(new EventStoreError('aborted', 'because'))
        })
      })
    const { status, body, headers } = await append('[{"type":"A","data":1}]')
    expect({ status, code: body.code, retry: headers.get('retry-after') }).toEqual({ status: 503, code: 'unavailable', retry: '1' })
    expect(aborted).toBe(true)
  })

  test('says at once that the node is not ready', async () => {
    served.state = 'unavailable'
    const { status, body, headers } = await append('[{"type":"A","data":1}]')
    expect({ status, code: body.code, retry: headers.get('retry-after') }).toEqual({ status: 503, code: 'unavailable', retry: '1' })
    expect(body.message).toMatch(/no quorum answers/)
    expect(served.store.appends).toEqual([])
  })

  test('a client that has gone aborts what it asked for', async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<unknown>()
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    served.store.onAppend = (signal) =>
      new Promise((_, reject) => {
        begin()
        signal.addEventListener('abort', () => {
          resolve((signal.reason as Error).message)
          reject(new EventStoreError('aborted', 'because'))
        })
      })
    const controller = new AbortController()
    const asked = fetch(`${served.url}/streams/s`, { method: 'POST', body: '[{"type":"A","data":1}]', signal: controller.signal }).catch(
      () => 'gone',
    )
    await begun
    controller.abort()
    expect(await asked).toBe('gone')
    expect(await aborted).toMatch(/client has gone/)
  })

  test('what is announced, or of unknown length, holds nothing: only bytes that came count', async () => {
    await using bounded = await serve({ bodyBytesMax: 100_000, bodyBytesInFlightMax: 200_000 })
    const idle = Array.from({ length: 40 }, () => connect(bounded.port, '127.0.0.1'))
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const { promise: go, resolve: release } = Promise.withResolvers<void>()
    bounded.store.onAppend = async () => {
      if (bounded.store.appends.length === 40) begin()
      await go
      return { revision: 0, position: 1 }
    }
    for (const [index, socket] of idle.entries()) {
      const how = index % 2 === 0 ? 'content-length: 100000\r\n\r\n[' : 'transfer-encoding: chunked\r\n\r\n1\r\n[\r\n'
      socket.write(`POST /streams/s HTTP/1.1\r\nhost: x\r\n${how}`)
    }
    const chunked = Array.from({ length: 40 }, () => {
      const body = new Blob(['[{"type":"A","data":1}]']).stream()
      return ask(`${bounded.url}/streams/s`, { method: 'POST', body, duplex: 'half' } as RequestInit)
    })
    await Promise.race([begun, ...chunked.map(async (asked) => expect((await asked).body).toEqual('under way'))])
    release()
    expect((await Promise.all(chunked)).map(({ status }) => status)).toEqual(chunked.map(() => 201))
    for (const socket of idle) socket.destroy()
  })

  test.each([
    ['stalls', { bodyStallMillisecondsMax: 100 }, 0],
    ['trickles', { bodyStallMillisecondsMax: 5_000, requestMillisecondsMax: 1_000 }, 50],
  ])('a body that %s is cut with 408', async (_how, limits, everyMilliseconds) => {
    await using slow = await serve(limits)
    const socket = connect(slow.port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    socket.on('error', () => undefined) // it may be cut in the middle of a write
    socket.write('POST /streams/s HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n[')
    const trickle = everyMilliseconds === 0 ? undefined : setInterval(() => socket.writable && socket.write(' '), everyMilliseconds)
    await once(socket, 'close')
    clearInterval(trickle)
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(answer).toMatch(/"code":"invalid_argument".*send it again/)
  })

  test('a request that comes while the server closes is refused in the one form of errors', async () => {
    const closing = await serve()
    const socket = connect(closing.port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    // The second request has begun, so its connection is not idle, and it ends only after the server has begun to close.
    socket.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\nGET /cluster HTTP/1.1\r\nhost: x\r\n')
    await once(socket, 'data')
    answer = ''
    const closed = closing.close()
    socket.write('\r\n')
    await once(socket, 'close')
    await closed
    expect(answer).toMatch(/^HTTP\/1\.1 503 /)
    expect(answer).toMatch(/retry-after: 1\r\n/)
    expect(answer).toMatch(/connection: close\r\n/i)
    expect(answer).toMatch(/"code":"unavailable","message":"this node is stopping/)
  })

  test('bodies under way are bounded', async () => {
    await using bounded = await serve({ bodyBytesMax: 100_000, bodyBytesInFlightMax: 100_050 })
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const { promise: go, resolve: release } = Promise.withResolvers<void>()
    bounded.store.onAppend = async () => {
      begin()
      await go
      return { revision: 0, position: 1 }
    }
    const text = `[{"type":"A","data":"${'x'.repeat(90_000)}"}]`
    const first = post(`${bounded.url}/streams/s`, text)
    await begun
    const second = await post(`${bounded.url}/streams/s`, text)
    expect({ status: second.status, code: second.body.code }).toEqual({ status: 503, code: 'busy' })
    release()
    expect((await first).status).toBe(201)
  })
})
