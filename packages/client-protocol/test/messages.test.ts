import { bytesToHex, MalformedError, type Bytes } from '@synod/codec'
import { fuzzDecoder } from '@synod/codec/fuzz'
import {
  clientFrameWriter,
  frameBytesMax,
  nodeFrameWriter,
  readClientFrame,
  readNodeFrame,
  storedRecordHeadBytes,
  type ClientMessage,
  type NodeMessage,
} from '@synod/client-protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const number = fc.maxSafeNat()
const u32 = fc.nat(0xffff_ffff)
const request = fc.integer({ min: 1, max: 0xffff_ffff })
const record = fc.uint8Array({ maxLength: 80 })
const optional = <T>(key: string, value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
  fc.option(value).map((given) => (given === null ? {} : { [key]: given })) as fc.Arbitrary<Record<string, T>>
const kind = <K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name)

const stored = fc.record({ stream: text, revision: number, position: number, record })
const events = fc.array(stored, { maxLength: 8 })
const starts = fc.oneof(
  fc.record({ kind: kind('beginning') }),
  fc.record({ kind: kind('from'), from: number }),
  fc.record({ kind: kind('afterPosition'), position: number }),
)

const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({
    kind: kind('append'),
    request,
    stream: text,
    expected: fc.oneof(fc.constantFrom('any' as const, 'noStream' as const, 'streamExists' as const), number),
    records: fc.array(record, { minLength: 1, maxLength: 5 }),
  }),
  fc
    .tuple(
      optional('stream', text),
      optional('from', number),
      fc.record({
        kind: kind('read'),
        request,
        direction: fc.constantFrom('forward' as const, 'backward' as const),
        limit: u32,
        consistency: fc.constantFrom('linearizable' as const, 'local' as const),
      }),
    )
    .map(([stream, from, rest]) => ({ ...stream, ...from, ...rest })),
  fc
    .tuple(optional('stream', text), fc.record({ kind: kind('subscribe'), request, start: starts, creditBytes: u32 }))
    .map(([stream, rest]) => ({ ...stream, ...rest })),
  fc.record({ kind: kind('credit'), request, bytes: u32 }),
  fc.record({ kind: kind('cancel'), request }),
  fc.record({ kind: kind('ping') }),
)

const nodeMessage: fc.Arbitrary<NodeMessage> = fc.oneof(
  fc
    .tuple(
      optional('leader', text),
      fc.record({
        kind: kind('topology'),
        cluster: text,
        node: text,
        members: fc.array(fc.record({ id: text, url: text }), { maxLength: 5 }),
        isServing: fc.boolean(),
      }),
    )
    .map(([leader, rest]) => ({ ...leader, ...rest })),
  fc.record({ kind: kind('appended'), request, revision: number, position: number }),
  fc.record({ kind: kind('refused'), request, code: text, message: text, details: text }),
  fc.record({ kind: kind('page'), request, events }),
  fc.record({ kind: kind('events'), request, events }),
  fc.record({ kind: kind('caughtUp'), request, position: number }),
  fc.record({ kind: kind('fellBehind'), request, position: number, lag: number }),
  fc.record({ kind: kind('checkpoint'), request, position: number }),
  fc.record({ kind: kind('pong') }),
)

function clientFrame(messages: readonly ClientMessage[]): Bytes {
  const writer = clientFrameWriter()
  for (const message of messages) writer.add(message)
  return writer.take()
}

function nodeFrame(messages: readonly NodeMessage[]): Bytes {
  const writer = nodeFrameWriter()
  for (const message of messages) writer.add(message)
  return writer.take()
}

describe('a frame', () => {
  test('of a client comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(clientMessage, { minLength: 1, maxLength: 6 }), (messages) => {
        expect(readClientFrame(clientFrame(messages))).toEqual(messages)
      }),
      { numRuns: 500 },
    )
  })

  test('of a node comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(nodeMessage, { minLength: 1, maxLength: 6 }), (messages) => {
        expect(readNodeFrame(nodeFrame(messages))).toEqual(messages)
      }),
      { numRuns: 500 },
    )
  })

  test('gives records as views', () => {
    const frame = clientFrame([{ kind: 'append', request: 1, stream: 's', expected: 'any', records: [Uint8Array.of(7)] }])
    const [message] = readClientFrame(frame)
    expect(message?.kind === 'append' && message.records[0]?.buffer).toBe(frame.buffer)
  })

  test('names each stream of its events once', () => {
    const event = (stream: string, position: number) => ({ stream, revision: 0, position, record: new Uint8Array(3) })
    const of = (...streams: string[]): number => nodeFrame([{ kind: 'page', request: 1, events: streams.map(event) }]).length
    expect(of('s', 's') - of('s')).toBe(storedRecordHeadBytes + 3)
    expect(of('s', 't') - of('s', 's')).toBe(5)
  })
})

describe('a writer of frames', () => {
  test('begins the next frame empty, and what was taken stays what it was', () => {
    const writer = clientFrameWriter()
    writer.add({ kind: 'cancel', request: 1 })
    const first = writer.take()
    const before = bytesToHex(first)
    expect(writer.length).toBe(0)
    for (let at = 0; at < 1000; at++) writer.add({ kind: 'cancel', request: 2 })
    expect(bytesToHex(first)).toBe(before)
    expect(readClientFrame(writer.take())).toHaveLength(1000)
  })

  test('of a message that has no encoding: the frame is as it was before', () => {
    const writer = nodeFrameWriter()
    writer.add({ kind: 'caughtUp', request: 1, position: 5 })
    const before = writer.length
    expect(() => writer.add({ kind: 'refused', request: 1, code: 'x', message: '\ud800', details: '' })).toThrow(RangeError)
    expect(() => writer.add({ kind: 'caughtUp', request: 2 ** 32, position: 5 })).toThrow(RangeError)
    expect(() => writer.add({ kind: 'caughtUp', request: 1, position: -1 })).toThrow(RangeError)
    expect(writer.length).toBe(before)
    expect(readNodeFrame(writer.take())).toEqual([{ kind: 'caughtUp', request: 1, position: 5 }])
  })
})

describe('what is malformed', () => {
  const client: ClientMessage[] = [
    { kind: 'append', request: 1, stream: 'orders', expected: 7, records: [new Uint8Array(50), new Uint8Array(3)] },
    { kind: 'append', request: 2, stream: 's', expected: 'noStream', records: [new Uint8Array(9)] },
    { kind: 'read', request: 3, stream: 's', from: 5, direction: 'backward', limit: 10, consistency: 'local' },
    { kind: 'subscribe', request: 4, stream: 's', start: { kind: 'afterPosition', position: 9 }, creditBytes: 1000 },
    { kind: 'credit', request: 4, bytes: 1000 },
    { kind: 'cancel', request: 4 },
    { kind: 'ping' },
  ]
  const stored = (stream: string, position: number) => ({ stream, revision: 1, position, record: new Uint8Array(20) })
  const node: NodeMessage[] = [
    { kind: 'topology', cluster: 'c', node: 'n1', members: [{ id: 'n1', url: 'u' }], leader: 'n1', isServing: true },
    { kind: 'appended', request: 1, revision: 2, position: 3 },
    { kind: 'refused', request: 1, code: 'busy', message: 'too much', details: '{}' },
    { kind: 'page', request: 1, events: [stored('s', 1), stored('t', 2), stored('s', 3)] },
    { kind: 'events', request: 1, events: [stored('s', 1)] },
    { kind: 'fellBehind', request: 1, position: 1, lag: 9 },
    { kind: 'pong' },
  ]

  test.each<[string, ClientMessage | NodeMessage]>([
    ['an append', { kind: 'append', request: 0, stream: 's', expected: 'any', records: [new Uint8Array(1)] }],
    ['a read', { kind: 'read', request: 0, direction: 'forward', limit: 1, consistency: 'local' }],
    ['an answer', { kind: 'appended', request: 0, revision: 0, position: 1 }],
    ['an end', { kind: 'refused', request: 0, code: '', message: '', details: '' }],
  ])('%s of request 0, which is the connection', (_, message) => {
    const isNode = message.kind === 'appended' || message.kind === 'refused'
    const read = isNode ? () => readNodeFrame(nodeFrame([message])) : () => readClientFrame(clientFrame([message as ClientMessage]))
    expect(read).toThrow(MalformedError)
  })

  test.each([
    ['a ping of a request', clientFrame([{ kind: 'ping' }]).with(4, 1), readClientFrame],
    ['a pong of a request', nodeFrame([{ kind: 'pong' }]).with(4, 1), readNodeFrame],
    ['a client’s message to a client', clientFrame([{ kind: 'ping' }]), readNodeFrame],
    ['a node’s message to a node', nodeFrame([{ kind: 'pong' }]), readClientFrame],
    ['an append without events', clientFrame([{ kind: 'append', request: 1, stream: 's', expected: 'any', records: [] }]), readClientFrame],
    [
      'an event of a stream that is not named',
      nodeFrame([{ kind: 'page', request: 1, events: [stored('s', 1)] }]).with(9 + 4 + 5 + 4 + 3, 1),
      readNodeFrame,
    ],
    ['nothing', new Uint8Array(0), readNodeFrame],
  ])('%s', (_, frame, read) => {
    expect(() => read(frame)).toThrow(MalformedError)
  })

  test('every beginning of a message, and a message with more in it than belongs there', () => {
    for (const [frame, read] of [
      ...client.map((message) => [clientFrame([message]), readClientFrame] as const),
      ...node.map((message) => [nodeFrame([message]), readNodeFrame] as const),
    ]) {
      for (let length = 0; length < frame.length; length++) expect(() => read(frame.subarray(0, length))).toThrow(MalformedError)
      const longer = Uint8Array.of(...frame, 0)
      new DataView(longer.buffer).setUint32(5, frame.length - 9 + 1)
      expect(() => read(longer)).toThrow(MalformedError)
    }
  })

  test.each([
    ['of a client', client.map((message) => clientFrame([message])).concat(clientFrame(client)), readClientFrame, clientFrame, 200_000, 21],
    ['of a node', node.map((message) => nodeFrame([message])).concat(nodeFrame(node)), readNodeFrame, nodeFrame, 150_000, 22],
  ] as const)(
    'hostile frames %s are refused, or are frames that can be written again, and leave no memory in use',
    (_, samples, read, write, count, seed) => {
      const decode = (frame: Bytes): void => {
        const messages = read(frame)
        const again = (write as (all: readonly (ClientMessage | NodeMessage)[]) => Bytes)(messages)
        // A name that no event of a page uses, or twice the same, may be lost on the way; nothing may be added.
        if (again.length > frame.length) throw new Error('a frame that grew')
      }
      const { accepted, refused, grownBytesMax } = fuzzDecoder({ samples, count, seed, decode, memory: process.memoryUsage })
      expect(accepted).toBeGreaterThan(5_000)
      expect(refused).toBeGreaterThan(count / 2)
      expect(grownBytesMax).toBeLessThan(100_000_000)
    },
  )

  test('of the largest size, with a count that lies, costs nothing', () => {
    const frame = new Uint8Array(frameBytesMax)
    frame.set(nodeFrame([{ kind: 'page', request: 1, events: [] }]))
    const view = new DataView(frame.buffer)
    view.setUint32(5, frame.length - 9)
    view.setUint32(9, 0xffff_ffff)
    expect(() => readNodeFrame(frame)).toThrow(MalformedError)
    view.setUint32(9, 0)
    view.setUint32(13, 0xffff_ffff)
    expect(() => readNodeFrame(frame)).toThrow(MalformedError)
  })
})
