/** One planted violation of each kind, each found under its name. */
import {
  Agreement,
  checkHistory,
  checkSubscription,
  Witness,
  type AppendOperation,
  type HistoryOperation,
  type SeenEvent,
  type SubscriptionSeen,
} from '@synod/simulator/checkers'
import { describe, expect, test } from 'vitest'
import { cleanHistory, type CleanHistory } from './small-history.ts'

const clean = cleanHistory('planted', { operations: 120, clients: 5, streams: 3 })

function kindsAfter(
  change: (history: CleanHistory) => { operations?: readonly HistoryOperation[]; events?: CleanHistory['events'] },
): Set<string> {
  const { operations = clean.operations, events = clean.events } = change(clean)
  return new Set(checkHistory({ operations, subscriptions: [] }, events).map(({ kind }) => kind))
}

function isAcknowledged(operation: HistoryOperation): operation is AppendOperation & { outcome: { kind: 'appended' } } {
  return operation.kind === 'append' && operation.outcome.kind === 'appended'
}

const acknowledged = clean.operations.filter(isAcknowledged)
const [some] = acknowledged.filter(({ count }) => count > 1)
if (some === undefined) throw new Error('the history has no append of several events')

describe('each kind of violation is found', () => {
  test('nothing is wrong with what they are planted in', () => {
    expect(kindsAfter(() => ({}))).toEqual(new Set())
  })

  test('lost: acknowledged and not in the log', () => {
    expect(kindsAfter(({ events }) => ({ events: events.filter(({ identity }) => identity !== some.identity) }))).toContain('lost')
  })

  test('doubled: in the log twice', () => {
    const again = clean.events.filter(({ identity }) => identity === some.identity)
    expect(kindsAfter(({ events }) => ({ events: [...events, ...again] }))).toContain('doubled')
  })

  test('torn: a part of it', () => {
    expect(
      kindsAfter(({ events }) => ({ events: events.filter(({ identity, ordinal }) => identity !== some.identity || ordinal > 0) })),
    ).toContain('torn')
  })

  test('torn: another event between', () => {
    const [other] = clean.events.filter(({ identity }) => identity !== some.identity)
    const at = clean.events.findIndex(({ identity }) => identity === some.identity) + 1
    expect(
      kindsAfter(({ events }) => ({ events: other === undefined ? [] : events.toSpliced(at, 0, { ...other, ordinal: 0 }) })),
    ).toContain('torn')
  })

  test('misplaced: at another place than acknowledged', () => {
    const move = (operation: HistoryOperation): HistoryOperation =>
      operation === some ? { ...some, outcome: { ...some.outcome, position: some.outcome.position + 1 } } : operation
    expect(kindsAfter(({ operations }) => ({ operations: operations.map(move) }))).toContain('misplaced')
  })

  test('misplaced: a reader saw another event there', () => {
    const events: SeenEvent[] = [{ position: 1, identity: 'elsewhere', ordinal: 0, stream: 's0', revision: 0 }]
    const read: HistoryOperation = {
      kind: 'readAll',
      client: 'r',
      call: 1e9,
      returned: 2e9,
      consistency: 'local',
      head: { atLeast: 1 },
      events,
    }
    expect(kindsAfter(({ operations }) => ({ operations: [...operations, read] }))).toContain('misplaced')
  })

  test('invented: nobody asked for it', () => {
    expect(kindsAfter(({ operations }) => ({ operations: operations.filter((operation) => operation !== some) }))).toContain('invented')
  })

  test('verdict: taken although it was not as expected', () => {
    const demand = (operation: HistoryOperation): HistoryOperation => (operation === some ? { ...some, expected: 999 } : operation)
    expect(kindsAfter(({ operations }) => ({ operations: operations.map(demand) }))).toContain('verdict')
  })

  test('verdict: refused although it was as expected', () => {
    const refused = clean.operations.find((operation) => operation.kind === 'append' && operation.outcome.kind === 'rejected')
    const demand = (operation: HistoryOperation): HistoryOperation =>
      operation === refused && operation.kind === 'append' ? { ...operation, expected: 'any' } : operation
    expect(kindsAfter(({ operations }) => ({ operations: operations.map(demand) }))).toContain('verdict')
  })

  test('verdict: refused, and in the log', () => {
    const refuse = (operation: HistoryOperation): HistoryOperation =>
      operation === some ? { ...some, outcome: { kind: 'rejected', actual: -1 }, expected: 'streamExists' } : operation
    expect(kindsAfter(({ operations }) => ({ operations: operations.map(refuse) }))).toContain('verdict')
  })

  test('session: a local read at the same node goes back', () => {
    const at = (call: number, head: number): HistoryOperation => ({
      kind: 'readAll',
      client: 'r',
      session: 'n1/1',
      call,
      returned: call + 1,
      consistency: 'local',
      head: { is: head },
    })
    const late = clean.operations.reduce((latest, { returned }) => (returned < Infinity ? Math.max(latest, returned) : latest), 0)
    const head = clean.events.length
    expect(kindsAfter(({ operations }) => ({ operations: [...operations, at(late + 1, head), at(late + 3, 0)] }))).toEqual(
      new Set(['session']),
    )
    const elsewhere = { ...at(late + 3, 0), session: 'n1/2' }
    expect(kindsAfter(({ operations }) => ({ operations: [...operations, at(late + 1, head), elsewhere] }))).toEqual(new Set())
  })

  test('agreement: another hash, another answer', () => {
    const agreement = new Agreement()
    agreement.onApplied('n1', 1, 'aa')
    agreement.onApplied('n2', 1, 'aa')
    agreement.onAnswer('n1', 1, 0, 'appended 1 0')
    expect(agreement.violations).toEqual([])
    agreement.onApplied('n3', 1, 'bb')
    agreement.onAnswer('n2', 1, 0, 'appended 2 0')
    expect(agreement.violations.map(({ kind }) => kind)).toEqual(['agreement', 'agreement'])
  })
})

describe('subscriptions', () => {
  const witness = new Witness(clean.events)
  const all = clean.events.map((event, at): SubscriptionSeen => ({ kind: 'event', event: { ...event, position: at + 1 } }))
  const ofStream = all.filter((message) => message.kind === 'event' && message.event.stream === 's1')
  const end = clean.events.length
  const check = (messages: readonly SubscriptionSeen[], more: { stream?: string; afterPosition?: number } = {}): number =>
    checkSubscription({ subscriber: 'u', from: 0, messages, ...more }, witness).length

  test('what is complete and in order is fine, of all and of one stream, from the beginning and resumed', () => {
    expect(check([...all, { kind: 'caughtUp', position: end }, { kind: 'checkpoint', position: end }])).toBe(0)
    expect(check([...ofStream, { kind: 'caughtUp', position: end }], { stream: 's1' })).toBe(0)
    expect(check(all.slice(10), { afterPosition: 10 })).toBe(0)
    expect(check(all.slice(0, 20))).toBe(0)
  })

  test.each<[string, readonly SubscriptionSeen[]]>([
    ['skipped', all.toSpliced(7, 1)],
    ['doubled', all.toSpliced(7, 0, ...all.slice(7, 8))],
    ['reordered', [...all.slice(0, 3), ...all.slice(4, 5), ...all.slice(3, 4)]],
    ['a caught up that is not true', [...all.slice(0, 5), { kind: 'caughtUp', position: 6 }]],
    ['a checkpoint that is not true', [...all.slice(0, 5), { kind: 'checkpoint', position: 6 }]],
    ['a checkpoint behind the end of the log', [...all, { kind: 'checkpoint', position: end + 1 }]],
    ['a caught up behind the end of the log', [...all, { kind: 'caughtUp', position: end + 1 }]],
    ['told of another stream', [...all.slice(0, 5), inAnotherStream(all[5]!)]],
    ['a checkpoint that goes back', [...all, { kind: 'checkpoint', position: end }, { kind: 'checkpoint', position: end - 1 }]],
  ])('%s', (_, messages) => {
    expect(check(messages)).toBe(1)
  })

  test('a missing event of one stream', () => {
    expect(check(ofStream.toSpliced(2, 1), { stream: 's1' })).toBe(1)
  })
})

function inAnotherStream(message: SubscriptionSeen): SubscriptionSeen {
  return message.kind === 'event' ? { ...message, event: { ...message.event, stream: 'elsewhere' } } : message
}
