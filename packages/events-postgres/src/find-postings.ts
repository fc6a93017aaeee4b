/**
 * Questions about postings, many in one statement. How many rows an answer needs is not known before: they are fetched in
 * steps, each about as long as what is still wanted, so that ten positions of a common term do not cost all its rows.
 */
import type { PostingsQuestion } from '@synod/events'
import { doesNotDecode, positionsOf, type PostingRow } from './posting-rows.ts'
import { bytes, type Query } from './row.ts'

/** Rows of a step, over all questions; each gets one at least. Some megabytes. */
const stepRowsMax = 4096
/** Of one question: half a million positions. */
const questionRowsMax = 1024
/** Of one question in the first step, when nobody knows yet how much a row holds. */
const firstRows = 16

/** The answers in the order of the questions. Rejects with a ReadSideError `damaged`. */
export async function findPostings(
  questions: readonly PostingsQuestion[],
  schema: string,
  query: Query,
): Promise<readonly (readonly number[])[]> {
  const searches = questions.map((question) => new Search(question))
  for (;;) {
    const open = searches.filter((search) => search.open)
    if (open.length === 0) return searches.map(({ found }) => found)
    const rowsMax = Math.max(1, Math.floor(stepRowsMax / open.length))
    for (const search of open) search.ask(rowsMax)
    const rows = await query('synod_postings', statement(schema), [
      open.map(({ term }) => Buffer.from(term, 'latin1')),
      open.map(({ low }) => low),
      open.map(({ high }) => high),
      open.map(({ asked }) => asked),
      open.map(({ backward }) => backward),
    ])
    for (const [question, first, last, count, positions] of rows)
      open[Number(question) - 1]?.take({ first: Number(first), last: Number(last), count: Number(count), positions: bytes(positions) })
    for (const search of open) search.stepEnded()
  }
}

/**
 * The last row to meet a range may end behind it: it is the first one that ends there, if it begins inside. Which way a
 * question reads is decided once for it, not by row, so that both ways stop at their limit in the index.
 */
function statement(schema: string): string {
  const meeting = `select first, last, count, positions from ${schema}.postings where term = q.term and last between q.low and
    coalesce((select case when first <= q.high then last end from ${schema}.postings where term = q.term and last >= q.high order by last limit 1), q.high)`
  return `select q.question, p.first, p.last, p.count, p.positions
    from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::integer[], $5::boolean[]) with ordinality as q (term, low, high, asked, backward, question)
    cross join lateral (
      (${meeting} and not q.backward order by last limit q.asked)
      union all
      (${meeting} and q.backward order by last desc limit q.asked)
    ) p`
}

class Search {
  readonly term: string
  readonly backward: boolean
  readonly #limit: number
  readonly found: number[] = []
  /** Where to look still. */
  low: number
  high: number
  /** Rows in this step. */
  asked = 0
  #taken = 0
  #rows = 0
  #ended = false

  constructor({ term, from, to, backward, limit }: PostingsQuestion) {
    this.term = term
    this.backward = backward
    this.#limit = limit
    this.low = from
    this.high = to
  }

  get open(): boolean {
    return !this.#ended && this.found.length < this.#limit && this.low <= this.high
  }

  ask(rowsMax: number): void {
    const missing = this.#limit - this.found.length
    const wanted = this.#rows === 0 ? firstRows : Math.ceil((missing * this.#rows) / Math.max(1, this.found.length)) + 1
    this.asked = Math.min(missing, wanted, questionRowsMax, rowsMax)
    this.#taken = 0
  }

  /** A row whose first to last meet low to high, in the direction of reading; those beyond the limit are not looked at. */
  take(row: PostingRow): void {
    const { term, backward, low, high, found } = this
    if (found.length >= this.#limit) return
    if (backward ? row.first > high : row.last < low) throw doesNotDecode(term, row)
    const positions = positionsOf(term, row).filter((position) => position >= low && position <= high)
    if (backward) positions.reverse()
    for (const position of positions) found.push(position)
    if (backward) this.high = row.first - 1
    else this.low = row.last + 1
    this.#taken++
  }

  stepEnded(): void {
    this.#rows += this.#taken
    this.#ended = this.#taken < this.asked
  }
}
