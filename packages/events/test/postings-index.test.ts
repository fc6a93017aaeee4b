/** The index of postings against lists that are searched from end to end; and terms made from bytes against terms made from text. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { drawUuid, encodeRecord, recordTagsAt } from '@synod/event-record'
import { categoryOf, termOf, type Term } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { PostingsIndex } from '../src/postings-index.ts'
import { StreamState } from '../src/stream-state.ts'
import { termOfBytes } from '../src/terms.ts'

const long = 'x'.repeat(70)
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      stream: fc.nat(5),
      type: fc.constantFrom('A', 'B', long),
      tags: fc.array(fc.constantFrom('A', 't', 'ü', long), { maxLength: 4 }),
    }),
  },
  /** A flush of so many of the events that are not flushed, and so many that come while it runs. */
  { weight: 1, arbitrary: fc.record({ flush: fc.nat(20), during: fc.nat(3) }) },
)

test('what is flushed and what is in memory is what was added, each posting once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const index = new PostingsIndex(memoryReadSide())
      // Objects of a stream come and go, its category stays.
      const streams = Array.from({ length: 6 }, (_, at) => new StreamState(`s${at % 2}-${at}`))
      const added: { readonly position: number; readonly terms: ReadonlySet<Term> }[] = []
      const flushed = new Map<Term, number[]>()
      let done = 0
      const add = (stream: StreamState, type: string, tags: readonly string[]): void => {
        const record = encodeRecord({ type, data: Uint8Array.of(1), tags }, drawUuid(), 0)
        const position = added.length + 1
        index.addEvent(position, stream, record, recordTagsAt(record))
        added.push({
          position,
          terms: new Set([termOf('type', type), termOf('category', categoryOf(stream.name)), ...tags.map((tag) => termOf('tag', tag))]),
        })
        expect(new Set(index.termsOf(record, recordTagsAt(record)))).toEqual(
          new Set([termOf('type', type), ...tags.map((tag) => termOf('tag', tag))]),
        )
      }
      for (const one of steps) {
        if (!('flush' in one)) {
          add(streams[one.stream]!, one.type, one.tags)
          continue
        }
        const to = Math.min(added.length, done + one.flush)
        const batch = index.between(done + 1, to)
        expect(new Set(batch.map(({ term }) => term)).size).toBe(batch.length)
        for (let left = one.during; left > 0; left--) add(streams[left]!, 'B', ['t'])
        for (const { term, positions } of batch) flushed.set(term, [...(flushed.get(term) ?? []), ...positions])
        index.flushed(to)
        done = to
      }
      for (const term of new Set(added.flatMap(({ terms }) => [...terms]))) {
        const positions = added.filter(({ terms }) => terms.has(term)).map(({ position }) => position)
        expect(flushed.get(term) ?? []).toEqual(positions.filter((position) => position <= done))
        expect(index.recent(term)).toEqual(positions.filter((position) => position > done))
      }
    }),
    { numRuns: 300 },
  )
})

test('a term of bytes is that of their text', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom('type' as const, 'category' as const, 'tag' as const),
      fc.nat(5),
      (text, kind, offset) => {
        const bytes = Buffer.from(text)
        const within = Buffer.concat([Buffer.alloc(offset), bytes, Buffer.alloc(3)])
        expect(termOfBytes(kind, within, offset, bytes.length)).toBe(termOf(kind, text))
      },
    ),
  )
  const large = 'y'.repeat(10_000)
  expect(termOfBytes('tag', Buffer.from(large), 0, large.length)).toBe(termOf('tag', large))
  // SHA-256 of 01 41, cut to 16 bytes: it is in read sides, so it never changes.
  expect(Buffer.from(termOf('type', 'A'), 'latin1').toString('hex')).toBe('acfa6b0e008d0208f16026b4d17a4c07')
})
