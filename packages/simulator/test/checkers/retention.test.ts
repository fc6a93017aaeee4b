/** What may be left out where events are hidden, and what not; each kind of violation of retention, planted and found. */
import {
  checkComebacks,
  checkGroup,
  checkHistory,
  checkRetention,
  type AllRead,
  type HistoryOperation,
  type QueryOperation,
  type RetentionOperation,
  type SeenEvent,
  type StreamChange,
  type StreamRead,
  type SubscriptionSeen,
  Witness,
  type WitnessEvent,
} from '@synod/simulator/checkers'
import { describe, expect, test } from 'vitest'

/** One event each: `kept` and `gone` in turns; the first two of `gone` are hidden to whoever has seen more than position 6. */
const events: readonly (WitnessEvent & SeenEvent)[] = Array.from({ length: 10 }, (_, at) => {
  const stream = at % 2 === 0 ? 'kept' : 'gone'
  const revision = Math.floor(at / 2)
  const event = { position: at + 1, stream, revision, identity: `a${at + 1}`, ordinal: 0, type: 't', tags: [] }
  return stream === 'gone' && revision < 2 ? { ...event, hiddenAfter: 6 } : event
})
const witness = new Witness(events)
const appends = events.map(({ stream, revision, identity, position }): HistoryOperation => {
  const outcome = { kind: 'appended', revision, position } as const
  return {
    kind: 'append',
    client: 'a',
    call: position * 10,
    returned: position * 10 + 1,
    identity,
    stream,
    expected: 'any',
    count: 1,
    outcome,
  }
})
const at = (...positions: number[]): SeenEvent[] => positions.map((position) => events[position - 1]!)

function all(call: number, positions: number[], more: Partial<AllRead> & Partial<AllRead['page']> = {}): AllRead {
  const { direction = 'forward', from, limit = 100, consistency = 'linearizable', session = 'n1/1' } = more
  const page = { consistency, direction, limit, ...(from !== undefined && { from }) }
  const common = { client: 'r', session, call, returned: call + 1, consistency }
  return { kind: 'readAll', ...common, head: { atLeast: 0 }, events: at(...positions), page }
}

function ofGone(call: number, positions: number[], from = 0): StreamRead {
  const page = { consistency: 'linearizable', direction: 'forward', limit: 100, from } as const
  const common = { client: 'r', session: 'n1/1', call, returned: call + 1, consistency: 'linearizable' } as const
  return { kind: 'readStream', stream: 'gone', ...common, revision: { atLeast: -1 }, events: at(...positions), page }
}

function kinds(...reads: readonly HistoryOperation[]): string[] {
  return checkHistory({ operations: [...appends, ...reads], subscriptions: [] }, events).map(({ kind }) => kind)
}

describe('reads', () => {
  test('what is hidden at the end may be left out, in both directions, and an empty page is no mistake where all is hidden', () => {
    expect(kinds(all(1_000, [1, 3, 5, 6, 7, 8, 9, 10]))).toEqual([])
    expect(kinds(all(1_000, [10, 9, 8, 7, 6, 5, 3, 1], { direction: 'backward' }))).toEqual([])
    expect(kinds(all(1_000, [5], { from: 4, limit: 1 }))).toEqual([])
    expect(kinds(ofGone(1_000, [6, 8, 10]))).toEqual([])
    // Before any of the third was appended.
    expect(kinds(ofGone(51, []))).toEqual([])
  })

  test('what is not hidden may not be left out', () => {
    expect(kinds(all(1_000, [1, 3, 5, 7]))).toContain('query')
    expect(kinds(all(1_000, [10, 8, 7], { direction: 'backward' }))).toContain('query')
    expect(kinds(ofGone(1_000, [8, 10]))).toContain('query')
    expect(kinds(ofGone(1_000, []))).toContain('linearizability')
    expect(kinds(all(1_000, [9, 8, 7], { direction: 'backward' }))).toContain('linearizability')
    expect(kinds(all(1_000, [1, 5, 3, 6], {}))).toContain('query')
  })

  test('what is hidden may be shown as long as that is not known, and not to whoever has seen more', () => {
    expect(kinds(all(61, [1, 2, 3, 4, 5, 6]))).toEqual([])
    expect(kinds(all(1_000, [1, 2, 3, 4, 5, 6], { limit: 6 }))).toContain('linearizability')
    expect(kinds(ofGone(1_000, [4, 6, 8, 10], 1))).toContain('linearizability')
    expect(kinds(all(61, [1, 2, 3, 4, 5, 6, 7, 8], { consistency: 'local' }))).toContain('linearizability')
  })

  test('what one life of a node left out does not come back there, and may elsewhere', () => {
    const [without, again] = [all(61, [1, 3, 5, 6], { consistency: 'local' }), all(63, [1, 2, 3, 4, 5, 6], { consistency: 'local' })]
    expect(checkComebacks([without, again], witness).map(({ kind }) => kind)).toEqual(['comeback'])
    expect(
      checkComebacks(
        [again, without].map((read, index) => ({ ...read, call: index * 2, returned: index * 2 + 1 })),
        witness,
      ),
    ).toEqual([])
    expect(checkComebacks([without, { ...again, session: 'n1/2' }], witness)).toEqual([])
    expect(checkComebacks([{ ...without, returned: 64 }, again], witness)).toEqual([])
    expect(checkComebacks([ofGone(61, [6]), again], witness)).toHaveLength(1)
  })
})

describe('queries, subscriptions, groups', () => {
  const query = (call: number, positions: number[]): QueryOperation => {
    const page = { consistency: 'linearizable', direction: 'forward', filter: {}, limit: 100, considered: 10, isEnd: true } as const
    return { client: 'r', call, ...page, events: at(...positions) }
  }
  const checkQuery = (asked: QueryOperation): number =>
    checkHistory({ operations: appends, queries: [asked], subscriptions: [] }, events).length
  const follow = (positions: number[], ...more: SubscriptionSeen[]): number => {
    const messages: SubscriptionSeen[] = [...at(...positions).map((event) => ({ kind: 'event', event }) as const), ...more]
    return checkHistory({ operations: appends, subscriptions: [{ subscriber: 'u', from: 0, messages }] }, events).length
  }

  test('a query leaves out what is hidden, and nothing else; what its node knew to be hidden it does not show', () => {
    expect(checkQuery(query(1_000, [1, 3, 5, 6, 7, 8, 9, 10]))).toBe(0)
    expect(checkQuery(query(1_000, [1, 3, 5, 7, 8, 9, 10]))).toBe(1)
    expect(checkQuery(query(1_000, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))).toBe(1)
  })

  test('a subscription leaves out what is hidden, and nothing else', () => {
    expect(follow([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], { kind: 'caughtUp', position: 10 })).toBe(0)
    expect(follow([1, 2, 3, 5, 6, 7, 8, 9, 10], { kind: 'caughtUp', position: 10 })).toBe(0)
    expect(follow([1], { kind: 'checkpoint', position: 2 })).toBe(0)
    expect(follow([1], { kind: 'checkpoint', position: 3 })).toBe(1)
    expect(follow([1, 2, 3, 4, 5, 7, 8])).toBe(1)
  })

  test('a group leaves out what is hidden, and nothing else', () => {
    const history = { deliveries: [], acknowledgements: [], unanswered: new Set<number>(), rejections: [], settled: [] }
    const wanted = [{ position: 2, key: 'gone', isHidden: true }]
    expect(checkGroup('g', history, { wanted, settled: 10, parked: [] })).toEqual([])
    expect(checkGroup('g', history, { wanted: [...wanted, { position: 6, key: 'gone' }], settled: 10, parked: [] })).toHaveLength(1)
  })
})

describe('changes', () => {
  const changes: readonly StreamChange[] = [
    { op: 'setMetadata', metadata: { maxCount: 3, custom: '{"a":1}' }, state: 'open', first: 2 },
    { op: 'delete', metadata: {}, state: 'deleted', first: 5 },
  ]
  const changesOf = (stream: string): readonly StreamChange[] => (stream === 'gone' ? changes : [])
  const set = { client: 'r', op: 'setMetadata', stream: 'gone', metadata: { maxCount: 3, custom: { a: 1 } } } as const
  const first: RetentionOperation = { ...set, call: 70, returned: 71, version: 1, state: 'open' }
  const deleted: RetentionOperation = { ...first, op: 'delete', metadata: {}, call: 80, returned: 81, version: 2, state: 'deleted' }
  const told: RetentionOperation = { ...first, op: 'metadata', consistency: 'linearizable', call: 90, returned: 91 }
  const check = (operations: readonly RetentionOperation[], reads: readonly HistoryOperation[] = []): number =>
    checkRetention(operations, reads, changesOf).length

  test('nothing is wrong with what they are planted in', () => {
    expect(check([first, deleted, { ...told, metadata: {}, version: 2, state: 'deleted' }], [ofGone(72, [6])])).toBe(0)
    expect(check([{ ...told, stream: 'other', metadata: {}, version: 0, state: 'absent' }])).toBe(0)
  })

  test.each<[string, readonly RetentionOperation[], readonly HistoryOperation[]]>([
    ['acknowledged and not in the log', [{ ...first, version: 3 }], []],
    ['not what was asked for', [{ ...first, metadata: { maxCount: 4 } }], []],
    ['another kind of change', [{ ...deleted, op: 'tombstone', state: 'tombstoned' }], []],
    ['metadata older than what was acknowledged', [deleted, told], []],
    ['metadata of a version that there is not', [{ ...told, version: 0 }], []],
    ['a read that shows what was hidden when it was called', [first], [ofGone(72, [4, 6])]],
  ])('%s', (_, operations, reads) => {
    expect(check(operations, reads)).toBe(1)
  })
})
