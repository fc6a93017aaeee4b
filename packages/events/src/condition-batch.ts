/**
 * What judging the conditions of one prefetched batch needs, brought into memory before its first command is applied. Which list
 * of an item will drive, and which events will be visible, is decided at apply, by commands of the same batch too; so everything
 * is loaded for each way in which that can come out, which is told from how many events the batch may add to a list.
 *
 * 1. Windows: of each list the newest postings, more and more until a list is known whole that no list known in part can
 *    undercut, or as many as a condition may scan.
 * 2. Membership: whether the postings of lists that may drive stand in the others, where their windows do not say. And places:
 *    the streams of what matches, once something may be hidden. Both newest first, in steps, and no further than judging
 *    may come, which shares its bound between the items of a condition (condition-search.ts).
 */
import { recordTagsAt } from '@synod/event-record'
import { commandKind } from './command-kinds.ts'
import type { PrefetchedBatch } from './command-part.ts'
import { listsOf, type Condition } from './condition.ts'
import { costOf, standsInAll, type BatchItem } from './condition-item.ts'
import { ConditionList } from './condition-list.ts'
import { ConditionPlaces, descending, type ConditionSources, type Place } from './condition-places.ts'
import { countLeast, leftFor, searchOf, type ItemSearch } from './condition-search.ts'
import type { PostingsQuestion } from './read-side.ts'
import type { StreamState } from './stream-state.ts'
import { TermWindow } from './term-window.ts'
import type { Term } from './terms.ts'

/** Postings of a list that are loaded at first; then eight times as many. */
const firstLimit = 64
/** Postings of one list that are looked up at first, and the most that those of one condition begin in one round; then four times as many. */
const firstStep = 64
const roundMax = 1024
/** Of the read side's port. */
const questionsMax = 1024

/** What the next round asks of the read side: whether positions stand under a term, and where they stand in streams. */
interface Wanted {
  readonly members: Map<TermWindow, Set<number>>
  readonly places: Set<number>
}

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
  readonly #head: number
  #added: ReadonlyMap<Term, ReadonlySet<number>> | undefined
  #events = 0

  /** `head` is the last position that is applied. */
  constructor(sources: ConditionSources, scanMax: number, conditions: readonly Condition[], batch: PrefetchedBatch, head: number) {
    this.#sources = sources
    this.#scanMax = scanMax
    this.#batch = batch
    this.#cut = sources.postings.cut
    this.#head = head
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
    const all = items.map((item) => ({ after, lists: listsOf(item, of).map((windows) => new ConditionList(windows)), limit: 0 }))
    const seen = new Set<string>()
    return items.length === 1 ? all : all.filter((item) => seen.size < seen.add(termsOf(item)).size)
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
    if (this.#mayHide) for (const of of this.#items.values()) this.#keepRecent(of)
    for (let next = items; ;) {
      next = next.filter((item) => !this.#isDecided(item))
      if (next.length === 0) break
      await this.#loadWindows(next)
    }
    await this.#loadMatches()
  }

  #keepRecent(items: readonly BatchItem[]): void {
    const searches: ItemSearch[] = []
    for (const item of items) {
      // Any list may drive, as nothing is known of what is flushed.
      const search = searchOf(item, item.lists, this.#matching(item, items.length), 0)
      const left = leftFor(search, searches, this.#scanMax)
      if (left === undefined) continue
      this.#places.keepRecent(item, left)
      countLeast(search, left, (position) => this.#places.isHidden(position))
      searches.push(search)
    }
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
      for (const { term } of list.windows) if (count < least) count += this.#addedTo(term)?.size ?? 0
      least = Math.min(least, count)
    }
    return least
  }

  /** The events of the batch that have the term; refused ones count too. */
  #addedTo(term: Term): ReadonlySet<number> | undefined {
    this.#added ??= this.#eventsByTerm()
    return this.#added.get(term)
  }

  #eventsByTerm(): ReadonlyMap<Term, ReadonlySet<number>> {
    const events = new Map<Term, Set<number>>()
    for (const { blobs } of this.#batch.commands) {
      for (const blob of blobs) {
        const tagsAt = recordTagsAt(blob)
        if (tagsAt === 0) continue
        const event = this.#events++
        for (const term of this.#sources.postings.termsOf(blob, tagsAt)) {
          const known = events.get(term)
          if (known === undefined) events.set(term, new Set([event]))
          else known.add(event)
        }
      }
    }
    return events
  }

  /** The events of the batch that may match. Nobody asks where a condition has one item. */
  #matching({ lists }: BatchItem, items: number): ReadonlySet<number> {
    if (items === 1) return new Set()
    this.#added ??= this.#eventsByTerm()
    const [first, ...others] = lists.map(({ windows }) => windows.map(({ term }) => this.#addedTo(term)))
    if (first === undefined) return new Set(Array.from({ length: this.#events }, (_, event) => event))
    const isIn = (sets: typeof first, event: number): boolean => sets.some((events) => events?.has(event) === true)
    const found = new Set<number>()
    for (const events of first) for (const event of events ?? []) if (others.every((sets) => isIn(sets, event))) found.add(event)
    return found
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

  async #loadMatches(): Promise<void> {
    const conditions = [...this.#items.values()].map((items) =>
      items.map((item) => searchOf(item, this.mayDrive(item), this.#matching(item, items.length), firstStep)),
    )
    for (;;) {
      const wanted: Wanted = { members: new Map(), places: new Set() }
      for (const searches of conditions) this.#collect(searches, wanted)
      if (wanted.members.size + wanted.places.size === 0) return
      await this.#askMembership(wanted.members)
      await this.#places.load([...wanted.places])
    }
  }

  /** What judging a condition may ask next. */
  #collect(searches: readonly ItemSearch[], to: Wanted): void {
    let begun = 0
    for (const [at, search] of searches.entries()) {
      if (search.isLoaded) continue
      if (begun >= roundMax) return
      const left = leftFor(search, searches.slice(0, at), this.#scanMax)
      const unknown = left === undefined ? 0 : this.#collectItem(search, left, to)
      begun += unknown
      search.isLoaded = unknown === 0
      search.step *= 4
      if (left !== undefined) countLeast(search, left, (position) => this.#places.isHidden(position))
    }
  }

  /** The number of postings of which something is not known yet. */
  #collectItem({ item, drivers, step }: ItemSearch, left: number, to: Wanted): number {
    const { after, lists } = item
    if (after >= this.#cut) return 0
    if (lists.length === 0) {
      const positions = descending(this.#head, Math.max(after, this.#head - left))
      return this.#collectFrom(positions, step, to, () => true)
    }
    let unknown = 0
    for (const driver of drivers) {
      const room = Math.floor(left / costOf(lists, driver))
      unknown += this.#collectFrom(take(driver.newest(after), room), step, to, (position) => {
        const stands = standsInAll(lists, driver, position)
        if (stands === undefined) for (const list of lists) if (list !== driver) collectMembers(list, position, to)
        return stands
      })
    }
    return unknown
  }

  #collectFrom(positions: Iterable<number>, step: number, { places }: Wanted, stands: (position: number) => boolean | undefined): number {
    let unknown = 0
    for (const position of positions) {
      if (unknown === step) break
      const isMatch = stands(position)
      if (isMatch === false) continue
      if (isMatch === undefined) {
        unknown++
        continue
      }
      // Judging ends here.
      if (!this.#mayHide || this.#places.staysVisible(position)) break
      if (position > this.#cut || this.#places.get(position) !== undefined) continue
      unknown++
      places.add(position)
    }
    return unknown
  }

  async #askMembership(asked: ReadonlyMap<TermWindow, ReadonlySet<number>>): Promise<void> {
    const pairs = [...asked].flatMap(([window, positions]) => Array.from(positions, (position) => ({ window, position })))
    if (pairs.length === 0) return
    const answers = await this.#ask(
      pairs.map(({ window: { term }, position }) => ({ term, from: position, to: position, backward: false, limit: 1 })),
    )
    for (const [at, { window, position }] of pairs.entries()) window.asked(position, answers[at]!.length > 0)
  }

  async #ask(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    const answers: (readonly number[])[] = []
    for (let at = 0; at < questions.length; at += questionsMax)
      answers.push(...(await this.#sources.readSide.postingsOf(questions.slice(at, at + questionsMax))))
    return answers
  }
}

/** The same for items of the same types and tags. */
function termsOf({ lists }: BatchItem): string {
  return lists
    .flatMap(({ windows }) => windows.map(({ term }) => term))
    .toSorted()
    .join(' ')
}

function collectMembers({ windows }: ConditionList, position: number, { members }: Wanted): void {
  for (const window of windows) {
    if (window.standsAt(position) !== undefined) continue
    const positions = members.get(window)
    if (positions === undefined) members.set(window, new Set([position]))
    else positions.add(position)
  }
}

function* take(positions: Iterable<number>, count: number): Generator<number, void> {
  let left = count
  if (left > 0)
    for (const position of positions) {
      yield position
      if (--left === 0) return
    }
}
