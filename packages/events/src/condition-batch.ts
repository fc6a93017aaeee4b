/**
 * What judging the conditions of one prefetched batch needs, brought into memory before its first command is applied. Which list
 * of an item will drive, and which events will be visible, is decided at apply, by commands of the same batch too; so everything
 * is loaded for each way in which that can come out, which is told from how many events the batch may add to a list.
 *
 * 1. Windows: of each list the newest postings, more and more until a list is known whole that no list known in part can
 *    undercut, or as many as a condition may scan.
 * 2. Membership: whether the postings of lists that may drive stand in the others, where their windows do not say.
 * 3. Places: the streams of what matches, once something may be hidden.
 */
import { recordTagsAt } from '@synod/event-record'
import { commandKind } from './command-kinds.ts'
import type { PrefetchedBatch } from './command-part.ts'
import { listsOf, type Condition } from './condition.ts'
import { costOf, type BatchItem } from './condition-item.ts'
import { ConditionList } from './condition-list.ts'
import { ConditionPlaces, type ConditionSources, type Place } from './condition-places.ts'
import type { PostingsQuestion } from './read-side.ts'
import type { StreamState } from './stream-state.ts'
import { TermWindow } from './term-window.ts'
import type { Term } from './terms.ts'

/** Postings of a list that are loaded at first; then eight times as many. */
const firstLimit = 64
/** Of the read side's port. */
const questionsMax = 1024

export class ConditionBatch {
  readonly #sources: ConditionSources
  readonly #scanMax: number
  readonly #batch: PrefetchedBatch
  readonly #cut: number
  readonly #windows = new Map<Term, TermWindow>()
  readonly #items = new Map<Condition, readonly BatchItem[]>()
  /** Something may be hidden when a command of the batch is judged. */
  readonly #mayHide: boolean
  readonly #places: ConditionPlaces
  #added: ReadonlyMap<Term, number> | undefined

  /** `head` is the last position that is applied. */
  constructor(sources: ConditionSources, scanMax: number, conditions: readonly Condition[], batch: PrefetchedBatch, head: number) {
    this.#sources = sources
    this.#scanMax = scanMax
    this.#batch = batch
    this.#cut = sources.postings.cut
    for (const condition of conditions) this.#items.set(condition, this.#itemsOf(condition))
    const appendsOnly = batch.commands.every((command) => command.session === 0 || commandKind(command) === 'append')
    this.#mayHide = !sources.visibility.hidesNothing || !appendsOnly
    this.#places = new ConditionPlaces(sources, { streams: () => batch.streams(), appendsOnly, cut: this.#cut, head })
  }

  /** Of a condition of the batch. */
  items(condition: Condition): readonly BatchItem[] | undefined {
    return this.#items.get(condition)
  }

  place(position: number): Place | undefined {
    return this.#places.get(position)
  }

  /** A command of the batch appended an event. */
  onEvent(stream: StreamState, revision: number): void {
    this.#places.onEvent(stream, revision)
  }

  flushed(position: number): void {
    for (const window of this.#windows.values()) window.flushed(position)
  }

  /** Undefined when everything is in memory. */
  load(): Promise<void> | undefined {
    const items = this.#all()
    return !this.#mayHide && items.every((item) => this.#isDecided(item)) ? undefined : this.#load(items)
  }

  /** The lists that may have the fewest postings when a command of the batch is judged; others cannot. */
  mayDrive({ after, lists }: BatchItem): readonly ConditionList[] {
    if (lists.length < 2) return lists
    const max = this.#scanMax + 1
    const least = this.#leastAtMost(after, lists)
    return lists.filter((list) => list.countAbove(after, max) <= least)
  }

  #all(): readonly BatchItem[] {
    return [...this.#items.values()].flat()
  }

  #itemsOf({ after, items }: Condition): readonly BatchItem[] {
    const of = (kind: 'type' | 'tag', text: string): TermWindow => this.#window(this.#sources.postings.termOf(kind, text))
    return items.map((item) => ({ after, lists: listsOf(item, of).map((windows) => new ConditionList(windows)), limit: 0 }))
  }

  #window(term: Term): TermWindow {
    const known = this.#windows.get(term)
    if (known !== undefined) return known
    const window = new TermWindow(term, this.#sources.postings, this.#cut)
    this.#windows.set(term, window)
    return window
  }

  async #load(items: readonly BatchItem[]): Promise<void> {
    // What is in memory now may be flushed while the rest is loaded.
    if (this.#mayHide) for (const item of items) this.#places.keepRecent(item, this.#scanMax)
    for (let next = items; ;) {
      next = next.filter((item) => !this.#isDecided(item))
      if (next.length === 0) break
      await this.#loadWindows(next)
    }
    await this.#loadMembership(items.filter(({ after, lists }) => lists.length > 1 && after < this.#cut))
    if (!this.#mayHide) return
    for (const item of items) await this.#places.load(item, this.mayDrive(item), this.#scanMax)
  }

  /** Enough of the lists is known, whatever the batch adds. */
  #isDecided({ after, lists, limit }: BatchItem): boolean {
    if (after >= this.#cut || limit > this.#scanMax || lists.every((list) => list.isWhole(after))) return true
    if (lists.length === 1) return !this.#mayHide && lists[0]!.countAbove(after, 1) > 0
    return this.#leastAtMost(after, lists) < limit
  }

  /** What the shortest list has at most when a command of the batch is judged, no further than a condition may scan and one. */
  #leastAtMost(after: number, lists: readonly ConditionList[]): number {
    let least = this.#scanMax + 1
    for (const list of lists) {
      if (!list.isWhole(after)) continue
      let count = list.countAbove(after, least)
      for (const { term } of list.windows) if (count < least) count += this.#addedTo(term)
      least = Math.min(least, count)
    }
    return least
  }

  /** How many events of the batch have the term; refused ones count too. */
  #addedTo(term: Term): number {
    this.#added ??= this.#countAdded()
    return this.#added.get(term) ?? 0
  }

  #countAdded(): ReadonlyMap<Term, number> {
    const counts = new Map<Term, number>()
    for (const { blobs } of this.#batch.commands) {
      for (const blob of blobs) {
        const tagsAt = recordTagsAt(blob)
        if (tagsAt === 0) continue
        for (const term of this.#sources.postings.termsOf(blob, tagsAt)) counts.set(term, (counts.get(term) ?? 0) + 1)
      }
    }
    return counts
  }

  async #loadWindows(items: readonly BatchItem[]): Promise<void> {
    const wanted = new Map<TermWindow, { from: number; limit: number }>()
    for (const item of items) {
      const first = item.lists.length === 1 && !this.#mayHide ? 1 : firstLimit
      item.limit = Math.min(this.#scanMax + 1, item.limit === 0 ? first : item.limit * 8)
      for (const window of item.lists.flatMap(({ windows }) => windows)) {
        if (window.low <= item.after + 1) continue
        const { from, limit } = wanted.get(window) ?? { from: Infinity, limit: 0 }
        wanted.set(window, { from: Math.min(from, item.after + 1), limit: Math.max(limit, item.limit) })
      }
    }
    const asked = [...wanted]
      .map(([window, { from, limit }]) => ({ window, from, limit: limit - window.loaded }))
      .filter(({ limit }) => limit > 0)
    const answers = await this.#ask(
      asked.map(({ window, from, limit }) => ({ term: window.term, from, to: window.low - 1, backward: true, limit })),
    )
    for (const [at, { window, from, limit }] of asked.entries()) {
      const positions = answers[at]!
      window.load(positions, positions.length < limit ? from : positions.at(-1)!)
    }
  }

  async #loadMembership(items: readonly BatchItem[]): Promise<void> {
    const asked = new Map<TermWindow, Set<number>>()
    for (const item of items) for (const list of this.mayDrive(item)) this.#collectUnknown(item, list, asked)
    const pairs = [...asked].flatMap(([window, positions]) => Array.from(positions, (position) => ({ window, position })))
    if (pairs.length === 0) return
    const answers = await this.#ask(
      pairs.map(({ window: { term }, position }) => ({ term, from: position, to: position, backward: false, limit: 1 })),
    )
    for (const [at, { window, position }] of pairs.entries()) window.asked(position, answers[at]!.length > 0)
  }

  #collectUnknown({ after, lists }: BatchItem, driver: ConditionList, to: Map<TermWindow, Set<number>>): void {
    const others = lists.filter((list) => list !== driver)
    let left = Math.floor(this.#scanMax / costOf(lists, driver))
    for (const position of driver.newest(after)) {
      if (left-- === 0) break
      if (others.some((list) => list.standsAt(position) === false)) continue
      for (const window of others.flatMap(({ windows }) => windows)) {
        if (window.standsAt(position) !== undefined) continue
        const positions = to.get(window)
        if (positions === undefined) to.set(window, new Set([position]))
        else positions.add(position)
      }
    }
  }

  async #ask(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    const answers: (readonly number[])[] = []
    for (let at = 0; at < questions.length; at += questionsMax)
      answers.push(...(await this.#sources.readSide.postingsOf(questions.slice(at, at + questionsMax))))
    return answers
  }
}
