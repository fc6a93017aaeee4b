import { describe, expect, vi } from 'vitest'
import {
  ConditionFailedError,
  ConditionTooBroadError,
  InvalidArgumentError,
  ProtocolViolationError,
  StreamTombstonedError,
  TooLargeError,
  UnavailableError,
  WrongExpectedRevisionError,
  type AtomicWrites,
} from '@synod/client'
import { all, it, rejection } from './with-client.ts'

const event = { type: 'T', data: 1 }

describe('appending atomically', { concurrent: true }, () => {
  it('writes several streams, and answers with the position and each revision', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await client.append('b', event)
    const writes = [
      { stream: 'a', events: [event, { type: 'U', data: 2, tags: ['x'] }], expected: 'noStream' as const },
      { stream: 'b', events: event, expected: 0n },
    ]
    const given = {
      writes,
      checks: [{ stream: 'c', expected: 'noStream' as const }],
      condition: { failIfEventsMatch: { items: [{ types: ['V'], tags: ['x'] }] }, after: 1n },
    }
    expect(await client.appendAtomically(given)).toEqual({
      position: 4n,
      streams: [
        { stream: 'a', revision: 1n },
        { stream: 'b', revision: 1n },
      ],
    })
    expect((await all(client.readAll())).map(({ stream, type }) => `${stream} ${type}`)).toEqual(['b T', 'a T', 'a U', 'b T'])
    expect(nodes[0].messages('appendAtomically')).toMatchObject([
      {
        writes: [
          { stream: 'a', expected: 'noStream' },
          { stream: 'b', expected: 0 },
        ],
        checks: [{ stream: 'c', expected: 'noStream' }],
        condition: { failIfEventsMatch: { items: [{ types: ['V'], tags: ['x'] }] }, after: 1 },
      },
    ])
    expect(client.status().counters.appended).toBe(2)
  })

  it('tells every violated check', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await client.append('a', [event, event])
    const failed = await rejection(
      client.appendAtomically({
        writes: [{ stream: 'a', events: event, expected: 0n }],
        checks: [{ stream: 'b', expected: 'streamExists' }],
        condition: { failIfEventsMatch: { items: [{ types: ['T'] }] }, after: 1n },
      }),
    )
    expect(failed).toBeInstanceOf(WrongExpectedRevisionError)
    expect(failed).toMatchObject({
      stream: 'a',
      expected: 0n,
      actual: 1n,
      message: expect.stringMatching(/and 2 more checks failed/) as string,
      violations: [
        { kind: 'revision', stream: 'a', expected: 0n, actual: 1n },
        { kind: 'revision', stream: 'b', expected: 'streamExists', actual: 'noStream' },
        { kind: 'condition', position: 2n },
      ],
    })
    const met = await rejection(
      client.appendAtomically({
        writes: [{ stream: 'a', events: event }],
        condition: { failIfEventsMatch: { items: [{ types: ['T'] }] } },
      }),
    )
    expect(met).toBeInstanceOf(ConditionFailedError)
    expect(met).toMatchObject({ code: 'condition_failed', position: 1n, violations: [{ kind: 'condition', position: 1n }] })
  })

  it('has an error for each refusal, and one for what is none', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const refuseWith = async (code: string, details?: string): Promise<unknown> => {
      nodes[0].intercept = (message, connection) => {
        if (message.kind === 'appendAtomically') connection.refuse(message.request, code, details)
        return message.kind === 'appendAtomically'
      }
      return rejection(client.appendAtomically({ writes: [{ stream: 'a', events: event }] }))
    }
    expect(await refuseWith('condition_too_broad')).toBeInstanceOf(ConditionTooBroadError)
    expect(await refuseWith('stream_tombstoned')).toBeInstanceOf(StreamTombstonedError)
    expect(await refuseWith('condition_failed')).toBeInstanceOf(ProtocolViolationError)
    expect(await refuseWith('condition_failed', '{"violations":[{"kind":"condition"}]}')).toBeInstanceOf(ProtocolViolationError)
    expect(await refuseWith('group_not_found')).toBeInstanceOf(ProtocolViolationError)
  })

  it('sends the same writes, checks and condition to another node when the first one dies', async ({ world }) => {
    const nodes = await world.nodes(3)
    const client = world.client(nodes)
    await client.append('warm', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    // It is carried out, and the answer is lost.
    nodes[0].intercept = (message) => message.kind === 'appendAtomically' && nodes[0].store.appendAtomically(message) !== undefined
    const condition = { failIfEventsMatch: { items: [{ tags: ['x'] }] } }
    const appended = client.appendAtomically({
      writes: [{ stream: 'a', events: { ...event, tags: ['x'] }, expected: 'noStream' }],
      condition,
    })
    await vi.waitFor(() => expect(nodes[0].messages('appendAtomically')).toHaveLength(1))
    await nodes[0].kill()
    expect(await appended).toEqual({ position: 2n, streams: [{ stream: 'a', revision: 0n }] })
    const [first] = nodes[0].messages('appendAtomically')
    const again = nodes.flatMap((node) => node.messages('appendAtomically')).at(-1)
    expect({ ...again, request: 0 }).toEqual({ ...first, request: 0 })
    expect(nodes[0].store.stream('a')).toHaveLength(1)
  })

  it('tells a refusal after a try in doubt only where an append cannot make it turn', async ({ world }) => {
    const refused = async (violations: readonly object[]): Promise<unknown> => {
      const nodes = await world.nodes(1)
      const client = world.client(nodes)
      let tries = 0
      nodes[0].intercept = (message, connection) => {
        if (message.kind !== 'appendAtomically') return false
        if (tries++ === 0) connection.refuse(message.request, 'unavailable')
        else connection.refuse(message.request, 'wrong_expected_revision', JSON.stringify({ violations }))
        return true
      }
      return rejection(client.appendAtomically({ writes: [{ stream: 'a', events: event }] }))
    }
    const revision = { kind: 'revision', stream: 'a' }
    expect(await refused([{ ...revision, expected: 3, actual: 2 }])).toMatchObject({
      code: 'unavailable',
      outcomeUnknown: true,
      eventIds: [expect.any(String)],
    })
    expect(await refused([{ ...revision, expected: 'streamExists', actual: 'noStream' }])).toBeInstanceOf(UnavailableError)
    expect(await refused([{ ...revision, expected: 2, actual: 3 }])).toBeInstanceOf(WrongExpectedRevisionError)
    expect(await refused([{ kind: 'condition', position: 7 }])).toBeInstanceOf(ConditionFailedError)
  })

  it.for([
    [{}, /writes must be a list/],
    [{ writes: [] }, /at least one write/],
    [{ writes: [{ stream: 'a', events: [] }] }, /the write to stream "a" needs at least one event/],
    [{ writes: [{ stream: '', events: event }] }, /stream's name/],
    [{ writes: [{ stream: 'a', event }] }, /a write has "event": allowed are stream, events and expected/],
    [{ writes: [{ stream: 'a', events: event }], check: [] }, /has "check"/],
    [{ writes: [{ stream: 'a', events: event }], checks: [{ stream: 'b' }] }, /does not say what is expected/],
    [{ writes: [{ stream: 'a', events: event }], condition: { failIfEventsMatch: { items: [] } } }, /at least one item/],
    [
      { writes: [{ stream: 'a', events: event }], condition: { failIfEventsMatch: { items: [{ tag: ['x'] }] } } },
      /has "tag": allowed are types and tags/,
    ],
    [
      { writes: [{ stream: 'a', events: event }], condition: { failIfEventsMatch: { items: [{}] }, after: 7 } },
      /after is 7: it must be a bigint/,
    ],
  ] as const)('refuses %j', async ([given, message], { world }) => {
    const client = world.client(await world.nodes(1))
    const error = await rejection(client.appendAtomically(given as unknown as AtomicWrites))
    expect(error).toBeInstanceOf(InvalidArgumentError)
    expect((error as Error).message).toMatch(message)
  })

  it('refuses what fits into no message', async ({ world }) => {
    const client = world.client(await world.nodes(1))
    const large = Array.from({ length: 17 }, (_, n) => ({ stream: `s${n}`, events: { type: 'T', data: 'x'.repeat(1_000_000) } }))
    expect(await rejection(client.appendAtomically({ writes: large }))).toBeInstanceOf(TooLargeError)
  })
})
