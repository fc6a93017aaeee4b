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

const expected = fc.oneof(fc.constantFrom('any' as const, 'noStream' as const, 'streamExists' as const), number)
const records = fc.array(record, { minLength: 1, maxLength: 5 })
/** Never empty: an empty list comes back as none. */
const texts = fc.array(text, { minLength: 1, maxLength: 3 })
const item = fc.tuple(optional('types', texts), optional('tags', texts)).map(([types, tags]) => ({ ...types, ...tags }))
const items = fc.array(item, { minLength: 1, maxLength: 3 })
const filter = fc
  .tuple(optional('items', items), optional('prefixes', texts), optional('categories', texts))
  .map(([of, prefixes, categories]) => ({ ...of, ...prefixes, ...categories }))
const condition = fc
  .tuple(fc.record({ failIfEventsMatch: fc.record({ items }) }), optional('after', number))
  .map(([query, after]) => ({ ...query, ...after }))
const reading = fc.record({
  direction: fc.constantFrom('forward' as const, 'backward' as const),
  limit: u32,
  consistency: fc.constantFrom('linearizable' as const, 'local' as const),
})
const numbers = fc.array(number, { maxLength: 5 })

const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({ kind: kind('append'), request, stream: text, expected, records }),
  fc
    .tuple(
      optional('stream', text),
      optional('from', number),
      optional('atLeast', number),
      fc.record({ kind: kind('read'), request }),
      reading,
    )
    .map(([stream, from, atLeast, head, rest]) => ({ ...stream, ...from, ...atLeast, ...head, ...rest })),
  fc
    .tuple(
      optional('condition', condition),
      fc.record({
        kind: kind('appendAtomically'),
        request,
        writes: fc.array(fc.record({ stream: text, expected, records }), { minLength: 1, maxLength: 3 }),
        checks: fc.array(fc.record({ stream: text, expected }), { maxLength: 3 }),
      }),
    )
    .map(([given, rest]) => ({ ...given, ...rest })),
  fc
    .tuple(optional('from', number), optional('atLeast', number), fc.record({ kind: kind('query'), request, filter }), reading)
    .map(([from, atLeast, head, rest]) => ({ ...from, ...atLeast, ...head, ...rest })),
  fc.record({ kind: kind('subscribeFiltered'), request, filter, start: starts, creditBytes: u32 }),
  fc
    .tuple(optional('consumer', text), fc.record({ kind: kind('consume'), request, group: text, creditBytes: u32 }))
    .map(([consumer, rest]) => ({ ...consumer, ...rest })),
  fc.record({ kind: kind('acknowledge'), request, generation: number, positions: numbers }),
  fc.record({
    kind: kind('reject'),
    request,
    generation: number,
    position: number,
    rejection: fc.constantFrom('retry' as const, 'park' as const, 'skip' as const),
    reason: text,
  }),
  fc.record({ kind: kind('call'), request, method: text, argument: text }),
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
  fc.record({ kind: kind('atomicallyAppended'), request, position: number, revisions: numbers }),
  fc.record({ kind: kind('queryPage'), request, events, considered: number, isEnd: fc.boolean() }),
  fc.record({ kind: kind('assigned'), request, generation: number, partitions: fc.array(u32, { maxLength: 5 }) }),
  fc.record({
    kind: kind('groupEvents'),
    request,
    generation: number,
    events: fc.array(fc.record({ stream: text, revision: number, position: number, record, partition: u32, attempt: u32 }), {
      maxLength: 5,
    }),
  }),
  fc.record({ kind: kind('settled'), request, generation: number, positions: numbers }),
  fc.record({ kind: kind('stale'), request, generation: number, positions: numbers }),
  fc.record({ kind: kind('result'), request, result: text }),
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
    { kind: 'read', request: 5, from: 5, direction: 'forward', limit: 10, consistency: 'local', atLeast: 7 },
    {
      kind: 'appendAtomically',
      request: 6,
      writes: [
        { stream: 'a', expected: 7, records: [new Uint8Array(9), new Uint8Array(3)] },
        { stream: 'b', expected: 'any', records: [new Uint8Array(5)] },
      ],
      checks: [{ stream: 'c', expected: 'noStream' }],
      condition: { failIfEventsMatch: { items: [{ types: ['T'], tags: ['x', 'y'] }, { tags: ['z'] }] }, after: 3 },
    },
    {
      kind: 'query',
      request: 7,
      filter: { items: [{ types: ['T'] }], prefixes: ['order-'], categories: ['course'] },
      from: 4,
      direction: 'backward',
      limit: 10,
      consistency: 'linearizable',
      atLeast: 9,
    },
    { kind: 'subscribeFiltered', request: 8, filter: { prefixes: ['o'] }, start: { kind: 'from', from: 1 }, creditBytes: 1000 },
    { kind: 'consume', request: 9, group: 'g', consumer: 'me', creditBytes: 1000 },
    { kind: 'acknowledge', request: 9, generation: 1, positions: [4, 5] },
    { kind: 'reject', request: 9, generation: 1, position: 6, rejection: 'park', reason: 'no' },
    { kind: 'call', request: 10, method: 'getGroup', argument: '{"group":"g"}' },
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
    { kind: 'atomicallyAppended', request: 1, position: 9, revisions: [1, 2] },
    { kind: 'queryPage', request: 1, events: [stored('s', 1)], considered: 7, isEnd: false },
    { kind: 'assigned', request: 1, generation: 3, partitions: [0, 5] },
    { kind: 'groupEvents', request: 1, generation: 3, events: [{ ...stored('s', 1), partition: 5, attempt: 2 }] },
    { kind: 'settled', request: 1, generation: 3, positions: [1, 2] },
    { kind: 'stale', request: 1, generation: 3, positions: [1] },
    { kind: 'result', request: 1, result: '{"a":1}' },
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

  test('whatever belongs to a request, of request 0', () => {
    const zero = (frame: Bytes): Bytes => frame.fill(0, 1, 5)
    for (const message of client)
      if (message.kind !== 'ping') expect(() => readClientFrame(zero(clientFrame([message])))).toThrow(MalformedError)
    for (const message of node)
      if (message.kind !== 'pong' && message.kind !== 'topology')
        expect(() => readNodeFrame(zero(nodeFrame([message])))).toThrow(MalformedError)
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
    ['an append without writes', clientFrame([{ kind: 'appendAtomically', request: 1, writes: [], checks: [] }]), readClientFrame],
    [
      'a write without events',
      clientFrame([{ kind: 'appendAtomically', request: 1, writes: [{ stream: 'a', expected: 'any', records: [] }], checks: [] }]),
      readClientFrame,
    ],
    [
      'a condition without items',
      clientFrame([
        {
          kind: 'appendAtomically',
          request: 1,
          writes: [{ stream: 'a', expected: 'any', records: [new Uint8Array(1)] }],
          checks: [],
          condition: { failIfEventsMatch: { items: [] } },
        },
      ]),
      readClientFrame,
    ],
    [
      'a rejection that there is not',
      clientFrame([{ kind: 'reject', request: 1, generation: 1, position: 1, rejection: 'skip', reason: '' }]).with(9 + 16, 3),
      readClientFrame,
    ],
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

  test('with more items, writes or checks than a message may have', () => {
    const many = <T>(of: T): T[] => Array.from({ length: 65_537 }, () => of)
    const [item, check] = [{}, { stream: 's', expected: 'any' as const }]
    const write = { ...check, records: [new Uint8Array(1)] }
    const head = { kind: 'appendAtomically' as const, request: 1 }
    const filtered = (items: object[]): ClientMessage => ({
      kind: 'subscribeFiltered',
      request: 1,
      filter: { items },
      start: { kind: 'beginning' },
      creditBytes: 1,
    })
    for (const message of [
      filtered(many(item)),
      { ...head, writes: many(write), checks: [] },
      { ...head, writes: [write], checks: many(check) },
      { ...head, writes: [write], checks: [], condition: { failIfEventsMatch: { items: many(item) } } },
    ])
      expect(() => readClientFrame(clientFrame([message]))).toThrow('65537 entries where at most 65536 are allowed')
    expect(readClientFrame(clientFrame([filtered(many(item).slice(1))]))).toHaveLength(1)
  })

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
