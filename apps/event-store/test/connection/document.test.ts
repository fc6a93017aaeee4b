/** The exchange in docs/client-protocol.md: its bytes are what the code writes, and what it reads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bytesToHex, hexToBytes } from '@synod/codec'
import { nodeFrameWriter, readClientFrame, readNodeFrame, type ClientMessage, type NodeMessage } from '@synod/client-protocol'
import { decodeRecord, encodeRecord } from '@synod/event-record'
import { encode } from './frame-client.ts'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/client-protocol.md'), 'utf8')
const id = Uint8Array.from({ length: 16 }, (_, at) => at)
const event = { type: 'Opened', data: new TextEncoder().encode('{"seats":2}'), tags: ['math'] }
const sent = encodeRecord(event, id, 0)
const seat = encodeRecord({ type: 'Taken', data: new TextEncoder().encode('{}'), tags: ['course:1'] }, id, 0)
const seats = [{ types: ['Taken'], tags: ['course:1'] }]
const stamped = encodeRecord(event, id, Date.UTC(2026, 10, 23, 9))

/** Each frame of the page by its title, as bytes: a line's hexadecimal digits, up to two blanks and what they say. */
const frames = new Map(
  [...page.matchAll(/^\*\*(.+)\*\*[^\n]*\n\n```\n([^`]+)```$/gm)].map(([, title = '', dump = '']) => [
    title,
    hexToBytes(
      dump
        .split('\n')
        .map((line) => (line.trim().split(/ {2,}/)[0] ?? '').replaceAll(' ', ''))
        .join(''),
    ),
  ]),
)

function nodeFrame(...messages: NodeMessage[]): Uint8Array {
  const writer = nodeFrameWriter()
  for (const message of messages) writer.add(message)
  return writer.take()
}

const said: readonly [string, Uint8Array][] = [
  [
    'The node',
    nodeFrame({
      kind: 'topology',
      cluster: 'c0ffee00c0ffee00c0ffee00c0ffee00',
      node: 'n1',
      members: [{ id: 'n1', url: 'http://10.0.0.1:2113' }],
      leader: 'n1',
      isServing: true,
    }),
  ],
  [
    'The client',
    encode(
      { kind: 'append', request: 1, stream: 'course-1', expected: 'noStream', records: [sent] },
      { kind: 'subscribe', request: 2, stream: 'course-1', start: { kind: 'beginning' }, creditBytes: 65_536 },
    ),
  ],
  ['The node, a moment later', nodeFrame({ kind: 'appended', request: 1, revision: 0, position: 42 })],
  [
    'The node, in the same turn or the next',
    nodeFrame(
      { kind: 'events', request: 2, events: [{ stream: 'course-1', revision: 0, position: 42, record: stamped }] },
      { kind: 'caughtUp', request: 2, position: 42 },
    ),
  ],
  ['The client, when it has used the event', encode({ kind: 'credit', request: 2, bytes: sent.length })],
  [
    'The client asks',
    encode({
      kind: 'query',
      request: 3,
      filter: { items: seats },
      direction: 'forward',
      limit: 256,
      consistency: 'local',
      atLeast: 42,
    }),
  ],
  ['The node looks', nodeFrame({ kind: 'queryPage', request: 3, events: [], considered: 42, isEnd: true })],
  [
    'The client decides',
    encode({
      kind: 'appendAtomically',
      request: 4,
      writes: [{ stream: 'seat-1', expected: 'noStream', records: [seat] }],
      checks: [{ stream: 'course-1', expected: 'streamExists' }],
      condition: { failIfEventsMatch: { items: seats }, after: 42 },
    }),
  ],
  [
    'The node judges',
    nodeFrame({
      kind: 'refused',
      request: 4,
      code: 'condition_failed',
      message: 'read again',
      details: JSON.stringify({ violations: [{ kind: 'condition', position: 43 }] }),
    }),
  ],
  ['The client consumes', encode({ kind: 'consume', request: 5, group: 'mailer', consumer: 'm1', creditBytes: 65_536 })],
  [
    'The node assigns',
    nodeFrame(
      { kind: 'assigned', request: 5, generation: 3, partitions: [0, 5] },
      {
        kind: 'groupEvents',
        request: 5,
        generation: 3,
        events: [{ stream: 'course-1', revision: 0, position: 42, record: stamped, partition: 5, attempt: 1 }],
      },
    ),
  ],
  ['The client has done it', encode({ kind: 'acknowledge', request: 5, generation: 3, positions: [42] })],
  ['The node has it replicated', nodeFrame({ kind: 'settled', request: 5, generation: 3, positions: [42] })],
]

test.each(said)('%s says what the page says', (title, bytes) => {
  expect(bytesToHex(frames.get(title) ?? new Uint8Array(0))).toBe(bytesToHex(bytes))
})

test('the page has no other frames, and all of them can be read', () => {
  expect([...frames.keys()]).toEqual(said.map(([title]) => title))
  const read = (title: string): readonly (ClientMessage | NodeMessage)[] =>
    (title.startsWith('The client') ? readClientFrame : readNodeFrame)(frames.get(title) ?? new Uint8Array(0))
  const kinds = [...frames.keys()].map((title) => read(title).map(({ kind }) => kind))
  expect(kinds).toEqual([
    ['topology'],
    ['append', 'subscribe'],
    ['appended'],
    ['events', 'caughtUp'],
    ['credit'],
    ['query'],
    ['queryPage'],
    ['appendAtomically'],
    ['refused'],
    ['consume'],
    ['assigned', 'groupEvents'],
    ['acknowledge'],
    ['settled'],
  ])
  const [append] = read('The client')
  expect(append?.kind === 'append' && decodeRecord(append.records[0] ?? id).type).toBe('Opened')
})

test('the page names every way in which a node ends a connection', () => {
  for (const code of [1001, 1002, 1003, 1007, 1008, 1009, 1013]) expect(page).toContain(`| ${code} |`)
})
