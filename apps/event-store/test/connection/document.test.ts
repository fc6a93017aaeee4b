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
]

test.each(said)('%s says what the page says', (title, bytes) => {
  expect(bytesToHex(frames.get(title) ?? new Uint8Array(0))).toBe(bytesToHex(bytes))
})

test('the page has no other frames, and all of them can be read', () => {
  expect([...frames.keys()]).toEqual(said.map(([title]) => title))
  const read = (title: string): readonly (ClientMessage | NodeMessage)[] =>
    (title.startsWith('The client') ? readClientFrame : readNodeFrame)(frames.get(title) ?? new Uint8Array(0))
  const kinds = [...frames.keys()].map((title) => read(title).map(({ kind }) => kind))
  expect(kinds).toEqual([['topology'], ['append', 'subscribe'], ['appended'], ['events', 'caughtUp'], ['credit']])
  const [append] = read('The client')
  expect(append?.kind === 'append' && decodeRecord(append.records[0] ?? id).type).toBe('Opened')
})

test('the page names every way in which a node ends a connection', () => {
  for (const code of [1001, 1002, 1003, 1007, 1008, 1009, 1013]) expect(page).toContain(`| ${code} |`)
})
