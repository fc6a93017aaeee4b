import { expect, test } from 'vitest'
import type { PostingsQuestion, ReadSide } from '../read-side.ts'
import { categoryOf, termOf, type Term } from '../terms.ts'
import { positionsOf, seeded, type SideUnderTest } from './side-under-test.ts'

const all = termOf('category', categoryOf('all-1'))
const rare = termOf('tag', 'rare')
const everywhere = { from: 1, to: Number.MAX_SAFE_INTEGER }

/** Where the events with a term stand, against the naive answer. */
export function postingsConformance(use: SideUnderTest): void {
  function expectAnswer(term: Term, { from, to, backward, limit }: Omit<PostingsQuestion, 'term'>, found: readonly number[]): void {
    const wanted = (use.samples.postings.get(term) ?? []).filter((position) => position >= from && position <= to)
    if (backward) wanted.reverse()
    expect(found.length).toBeGreaterThanOrEqual(Math.min(limit, wanted.length))
    expect(found).toEqual(wanted.slice(0, found.length))
  }

  async function check(side: ReadSide, term: Term, range: Omit<PostingsQuestion, 'term'>): Promise<void> {
    expectAnswer(term, range, await positionsOf(side, term, range))
  }

  /** Both directions, and limits around what there is. */
  async function checkAll(term: Term, ranges: readonly (readonly [from: number, to: number])[]): Promise<void> {
    for (const [from, to] of ranges)
      for (const backward of [false, true])
        for (const limit of [1, 2, 17, 600, 100_000]) await check(use.side, term, { from, to, backward, limit })
  }

  test('a term that nothing has has no postings', async () => {
    expect(await positionsOf(use.side, all, { ...everywhere, backward: false, limit: 10 })).toEqual([])
    await use.flush([[1]])
    expect(await positionsOf(use.side, termOf('type', 'all'), { ...everywhere, backward: true, limit: 10 })).toEqual([])
  })

  test('postings of a term across flushes, in any range, both ways', async () => {
    for (let flush = 0; flush < 30; flush++) await use.flush([Array.from({ length: 40 }, () => 1)])
    const ranges = [
      [1, 1200],
      [1, Number.MAX_SAFE_INTEGER],
      [40, 41],
      [39, 39],
      [95, 1130],
      [1200, 1300],
      [1201, 1300],
      [30, 29],
    ] as const
    for (const term of [all, rare, termOf('type', 'type 2')]) await checkAll(term, ranges)
  })

  test('thousands of postings of a term in one flush', async () => {
    await use.flush([Array.from({ length: 3000 }, () => 1)])
    await use.flush([Array.from({ length: 3 }, () => 1)])
    await use.flush([Array.from({ length: 1100 }, () => 1)])
    const ranges = [
      [1, 4103],
      [511, 513],
      [512, 512],
      [513, 2999],
      [700, 800],
      [2998, 3004],
      [3001, 3002],
    ] as const
    for (const term of [all, rare, termOf('type', 'type 0')]) await checkAll(term, ranges)
  })

  test('many questions at once, answered in their order', async () => {
    expect(await use.side.postingsOf([])).toEqual([])
    for (let flush = 0; flush < 20; flush++) await use.flush([Array.from({ length: 60 }, () => 1)])
    await use.flush([Array.from({ length: 1500 }, () => 1)])
    const head = use.samples.mark.position
    const random = seeded(20_261_125)
    const terms = [all, rare, termOf('type', 'type 0'), termOf('type', 'type 3'), termOf('type', 'nothing has it')]
    const questions = Array.from({ length: 1024 }, (_, at) => {
      const term = terms[random(terms.length)]!
      const position = 1 + random(head)
      if (at % 2 === 0) return { term, from: position, to: position, backward: random(2) === 0, limit: 1 }
      return { term, from: position, to: position + random(head), backward: random(2) === 0, limit: 1 + random(at % 100 === 1 ? 3000 : 20) }
    })
    const answers = await use.side.postingsOf(questions)
    expect(answers).toHaveLength(questions.length)
    questions.forEach((question, at) => expectAnswer(question.term, question, answers[at]!))
  })

  test('a flush with very many terms', async () => {
    const from = use.samples.mark
    const flush = use.samples.next([Array.from({ length: 20_000 }, () => 1)])
    const own = Array.from({ length: 20_000 }, (_, event) => ({
      term: termOf('tag', `own ${event}`),
      positions: [from.position + 1 + event],
    }))
    for (const { term, positions } of own) use.samples.postings.set(term, [...positions])
    await use.side.flush({ ...flush, postings: [...flush.postings, ...own] })
    for (const event of [0, 1, 8191, 8192, 16_384, 19_999]) await checkAll(termOf('tag', `own ${event}`), [[1, 20_000]])
    const questions = own.slice(-1024).map(({ term }) => ({ ...everywhere, term, backward: false, limit: 2 }))
    expect(await use.side.postingsOf(questions)).toEqual(own.slice(-1024).map(({ positions }) => positions))
  })

  test('postings are there after another opening, and a fenced or refused flush leaves none', async () => {
    await use.flush([[1, 1, 1]])
    const successor = await use.reopen()
    await expect(use.flush([[1, 1]])).rejects.toMatchObject({ code: 'fenced' })
    for (const backward of [false, true])
      expect(await positionsOf(successor, all, { ...everywhere, backward, limit: 10 })).toEqual(backward ? [3, 2, 1] : [1, 2, 3])
  })

  test('postings and cells beside a flush: all of it or nothing', async () => {
    await use.flush([[1]], 0, 0, [{ key: 'cell', value: Uint8Array.of(1) }])
    let flushing = true
    const slots = Array.from({ length: 10 }, () => Array.from({ length: 300 }, () => 1))
    const running = use.flush(slots, 0, 0, [{ key: 'cell', value: Uint8Array.of(2) }]).finally(() => (flushing = false))
    do {
      // The cell first: what is flushed by then has its postings too.
      const [cell] = await use.side.cellsNamed(['cell'])
      const { length } = await positionsOf(use.side, all, { ...everywhere, backward: false, limit: 512 })
      if (length > 1 || cell?.value?.[0] === 2) expect(length).toBeGreaterThanOrEqual(512)
    } while (flushing)
    await running
    await check(use.side, all, { ...everywhere, backward: false, limit: 10_000 })
  })

  test('postings against a plain model: random flushes, openings and ranges', async () => {
    const random = seeded(20_261_123)
    const terms = [all, rare, ...Array.from({ length: 5 }, (_, type) => termOf('type', `type ${type}`))]
    for (let round = 0; round < 30; round++) {
      await use.flush(Array.from({ length: random(3) }, () => Array.from({ length: random(random(4) === 0 ? 900 : 9) }, () => 1)))
      if (random(5) === 0) use.side = await use.reopen()
      const head = use.samples.mark.position
      for (let times = 0; times < 6; times++) {
        const from = 1 + random(head + 2)
        const range = { from, to: from + random(head + 3 - from), backward: random(2) === 0, limit: 1 + random(random(2) === 0 ? 5 : 2000) }
        await check(use.side, terms[random(terms.length)]!, range)
      }
    }
  })
}
