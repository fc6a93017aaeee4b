/** Faults of filtered reads and subscriptions, and of what a reader may see. */
import type { Killer, PlantedFault } from '../planted-fault.ts'

const folder = 'packages/events'
const reads = `${folder}/src/store-reads.ts`
const reader = `${folder}/src/event-reader.ts`
const postings = `${folder}/src/postings-index.ts`
const store = `${folder}/src/open-event-store.ts`

const seeds: readonly Killer[] = [
  { by: 'seeds', mode: 'basic', seedsMax: 200 },
  { by: 'seeds', mode: 'multi', seedsMax: 200 },
]
const readModel: Killer = { by: 'test', folder, file: 'filtered-reads.test.ts', test: 'what is read is what the model says' }
const subscriptionModel: Killer = {
  by: 'test',
  folder,
  file: 'filtered-subscription.test.ts',
  test: 'a filtered subscription delivers what the model says',
}

export const faultsOfReading: readonly PlantedFault[] = [
  {
    name: 'filter-after-limit',
    breaks: 'a page is filtered before it is limited',
    patches: [
      {
        file: reads,
        find: 'import { checkFilter } from',
        replace: 'import { checkFilter, contentMatches, streamMatches, typeAndTagsOf } from',
      },
      {
        file: reads,
        find: 'this.#reader.filtered(filter, { ...range, ...this.#page(backward, options), scanMax }),',
        replace: `this.#reader.all({ ...range, ...this.#page(backward, options), scanMax }).then((page) => ({
        ...page,
        events: page.events.filter(({ stream, record }) => streamMatches(filter, stream) && contentMatches(filter, typeAndTagsOf(record))),
      })),`,
      },
      {
        file: reads,
        find: 'isEnd: next < range.from || next > range.to }',
        replace: 'isEnd: events.length < options.limit || next < range.from || next > range.to }',
      },
    ],
    killers: [...seeds, readModel],
  },
  {
    name: 'filtered-page-loses-what-is-flushed',
    breaks: 'a question of a filter fixes where memory begins before it asks the read side',
    patches: [
      {
        file: postings,
        find: 'const below = await this.#readSide.postingsOf(asked)',
        replace: `const below = await this.#readSide.postingsOf(asked)
    for (const [at, { term, from, to, backward }] of questions.entries()) {
      const now = this.recent(term).filter((position) => position >= from && position <= to)
      above[at] = backward ? now.reverse() : now
    }`,
      },
    ],
    killers: [{ by: 'seeds', mode: 'basic', seedsMax: 300 }, readModel],
  },
  {
    name: 'filtered-hand-over-doubles-one',
    breaks: 'an event that passes is read from the read side or from memory, not from both',
    patches: [
      {
        file: reader,
        find: 'const below = positions.filter((position) => position < firstRecent)',
        replace: 'const below = positions.filter((position) => position <= firstRecent)',
      },
    ],
    killers: [...seeds, readModel],
  },
  {
    name: 'filtered-hand-over-skips-one',
    breaks: 'an event that passes is in the read side or in memory',
    patches: [
      {
        file: reader,
        find: 'const below = positions.filter((position) => position < firstRecent)',
        replace: 'const below = positions.filter((position) => position < firstRecent - 1)',
      },
    ],
    killers: [...seeds, subscriptionModel],
  },
  {
    name: 'postings-skip-the-last-flushed',
    breaks: 'a posting is in the read side up to the last flushed position, or in memory above',
    patches: [{ file: postings, find: 'to: Math.min(question.to, cut), limit', replace: 'to: Math.min(question.to, cut - 1), limit' }],
    killers: [...seeds, subscriptionModel],
  },
  {
    name: 'checkpoint-beyond-a-match',
    breaks: 'a checkpoint is short of the next event that passes',
    patches: [
      {
        file: `${folder}/src/subscription.ts`,
        find: 'const passed = this.#ticket?.position === undefined ? this.#parts.index.tail.head : this.#ticket.position - 1',
        replace: 'const passed = this.#parts.index.tail.head',
      },
    ],
    killers: [...seeds, subscriptionModel],
  },
  {
    name: 'undecided-event-shown',
    breaks: 'a reader sees nothing that is merely proposed',
    patches: [
      {
        file: store,
        find: 'return this.#appends.append(request, options)',
        replace: `const state = this.#machine.index.streams.get(request.stream)
    const record = encodeRecord(request.events[0]!, new Uint8Array(16), 0)
    this.undecided = { stream: request.stream, revision: (state?.revision ?? -1) + 1, position: this.position() + 1, record }
    const appending = this.#appends.append(request, options)
    const forget = (): void => (this.undecided = undefined)
    appending.then(forget, forget)
    return appending`,
      },
      {
        file: store,
        find: 'return this.#reads.readAll(options)',
        replace: `const { undecided } = this
    if (undecided === undefined || options.direction !== 'backward' || options.from !== undefined) return this.#reads.readAll(options)
    return this.#reads.readAll(options).then((events) => [undecided, ...events].slice(0, options.limit))`,
      },
      {
        file: store,
        find: 'import { drawUuid, formatUuid } from',
        replace: 'import { drawUuid, encodeRecord, formatUuid } from',
      },
    ],
    killers: seeds,
  },
  {
    name: 'at-least-does-not-wait',
    breaks: 'a read that asks for a position waits until it is applied here',
    patches: [
      { file: reads, find: 'while (this.#machine.position() < atLeast) await this.#advance(atLeast, signal)', replace: 'void atLeast' },
    ],
    killers: [{ by: 'test', folder, file: 'filtered-reads.test.ts', test: 'is answered as soon as it is applied here' }],
  },
]
