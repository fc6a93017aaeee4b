import {
  checkHistory,
  checkLinearizability,
  hasLinearization,
  Witness,
  type AppendOperation,
  type HistoryOperation,
} from '@synod/simulator/checkers'
import { seededRandom } from '@synod/transport/memory'
import { describe, expect, test } from 'vitest'
import { cleanHistory } from './small-history.ts'

const small = { operations: 12, clients: 4, streams: 2 }

describe('linearizability by the log as witness', () => {
  test('clean histories raise no alarm, in any check', () => {
    for (let seed = 0; seed < 300; seed++) {
      const { operations, events } = cleanHistory(`clean ${seed}`, { operations: 200, clients: 1 + (seed % 20), streams: 1 + (seed % 5) })
      expect(checkHistory({ operations, subscriptions: [] }, events)).toEqual([])
    }
  })

  test('agrees with an exhaustive search on small histories, clean and spoiled', () => {
    let accused = 0
    for (let seed = 0; seed < 4000; seed++) {
      const { operations, events } = cleanHistory(`small ${seed}`, small)
      const spoiled = seed % 4 === 0 ? operations : spoil(operations, events.length, seededRandom(`spoil ${seed}`))
      const witness = new Witness(events)
      const isFine = checkLinearizability(spoiled, witness).length === 0
      expect({ seed, isFine }).toEqual({ seed, isFine: hasLinearization(spoiled, witness) })
      if (!isFine) accused++
    }
    expect(accused).toBeGreaterThan(500)
  })

  test('a million operations in under ten seconds, and one stale read among them is found', () => {
    const { operations, events } = cleanHistory('million', { operations: 1_050_000, clients: 100, streams: 50 })
    expect(operations.length).toBeGreaterThan(1_000_000)
    const before = performance.now()
    expect(checkHistory({ operations, subscriptions: [] }, events)).toEqual([])
    const ms = performance.now() - before
    console.log(`all checks of ${operations.length} operations: ${(ms / 1000).toFixed(1)} s`)
    expect(ms).toBeLessThan(10_000)
    const stale = operations.findLastIndex((operation) => operation.kind === 'readAll')
    const read = operations[stale]
    if (read?.kind !== 'readAll') throw new Error('no read')
    operations[stale] = { ...read, head: { is: events.length - 2000 } }
    expect(checkLinearizability(operations, new Witness(events)).map(({ kind }) => kind)).toContain('linearizability')
  }, 60_000)

  test.each<[string, HistoryOperation, HistoryOperation]>([
    ['an append that was called after another had returned stands before it', append('b', 1, 2, 2), append('a', 3, 4, 1)],
    ['a read misses what was acknowledged before', append('a', 1, 2, 1), tail(3, 4, 0)],
    ['a read goes back behind an earlier read', tail(1, 2, 1), tail(3, 4, 0)],
    ['a read sees what was not yet asked for', tail(1, 2, 2), append('b', 3, 4, 2)],
    [
      'a refusal tells of an older revision than was seen',
      append('b', 1, 2, 2),
      { ...append('c', 3, 4, 0), outcome: { kind: 'rejected', actual: 0 }, expected: 7 },
    ],
    [
      'what nobody answered was called after a return that it stands before',
      append('b', 1, 2, 2),
      { ...append('a', 3, Infinity, 1), outcome: { kind: 'unknown' } },
    ],
  ])('%s', (_, first, second) => {
    const events = ['a', 'b'].map((identity, revision) => ({ identity, revision, stream: 's', ordinal: 0 }))
    const early = ['a', 'b'].filter(
      (identity) => ![first, second].some((operation) => operation.kind === 'append' && operation.identity === identity),
    )
    const others = early.map((identity) => ({ ...append(identity, 0, Infinity, 0), outcome: { kind: 'unknown' as const } }))
    const violations = checkLinearizability([...others, first, second], new Witness(events))
    expect(violations.map(({ kind }) => kind)).toContain('linearizability')
    expect(hasLinearization([...others, first, second], new Witness(events))).toBe(false)
  })

  test.each<[string, readonly HistoryOperation[], boolean]>([
    ['may be old', [append('a', 1, 2, 1), append('b', 3, 4, 2), local(5, 6, 0)], true],
    ['sees what was called before it returned', [append('a', 1, 2, 1), append('b', 5, 8, 2), local(3, 6, 2)], true],
    ['does not see what was called after it returned', [append('a', 1, 2, 1), append('b', 7, 8, 2), local(3, 6, 2)], false],
    ['does not see an end that the log never had', [append('a', 1, 2, 1), append('b', 3, 4, 2), local(5, 6, 9)], false],
  ])('a local read %s', (_, operations, isFine) => {
    const events = ['a', 'b'].map((identity, revision) => ({ identity, revision, stream: 's', ordinal: 0 }))
    expect(checkLinearizability(operations, new Witness(events)).map(({ kind }) => kind)).toEqual(isFine ? [] : ['linearizability'])
  })
})

function append(identity: string, call: number, returned: number, position: number): AppendOperation {
  return {
    kind: 'append',
    client: identity,
    call,
    returned,
    identity,
    stream: 's',
    expected: 'any',
    count: 1,
    outcome: { kind: 'appended', revision: position - 1, position },
  }
}

function tail(call: number, returned: number, head: number): HistoryOperation {
  return { kind: 'readAll', client: 'r', call, returned, consistency: 'linearizable', head: { is: head } }
}

function local(call: number, returned: number, head: number): HistoryOperation {
  return { kind: 'readAll', client: 'r', call, returned, consistency: 'local', head: { is: head } }
}

/** Changes one thing: a time, or what was seen. It may still be linearizable. */
function spoil(operations: readonly HistoryOperation[], events: number, roll: () => number): HistoryOperation[] {
  const at = Math.floor(roll() * operations.length)
  return operations.map((operation, index) => {
    if (index !== at) return operation
    if (operation.kind === 'append' || roll() < 0.4) {
      const shift = (roll() - 0.5) * 150
      return { ...operation, call: operation.call + shift, returned: operation.returned + shift }
    }
    if (operation.kind === 'readAll') return { ...operation, head: { is: Math.floor(roll() * (events + 1)) } }
    return { ...operation, revision: { is: Math.floor(roll() * 4) - 1 } }
  })
}
