/**
 * Which position stood last at a moment of retention time: what `maxAge` asks. Ticks (time, position) say that all up to the
 * position were there at the time; an event counts from the first tick that had it, so it may live a tick longer than asked.
 *
 * The list covers years in bounded memory, by resolution in proportion to age (as exponential histograms do: Datar, Gionis,
 * Indyk, Motwani, "Maintaining Stream Statistics over Sliding Windows", 2002). Level n holds one tick for each bucket of
 * 2^n seconds. A tick older than `bucketsMax` buckets of its level goes to the next, and when one stands in its bucket there
 * already the two become one: the time of the former, the position of the latter. So the last position of a moment only
 * ever grows: an event may be hidden early, by less than a thousandth of its age, and never comes back. All this follows
 * from the ticks alone, in their order.
 */
/** The finest step that is remembered. It decides what is hidden, as the other two do: the same on every node, for ever. */
const retentionTickMs = 1000
/** Of a level: at least half of them have room in the next. */
const bucketsMax = 2048
/** 2^53 milliseconds are fewer. */
const levelsMax = 44

/** A tick as it is kept, by its time; position undefined: it went into another. */
export type HorizonChange = (time: number, position: number | undefined) => void

interface Kept {
  readonly time: number
  position: number
}

/** Bound of what is kept: every level has at most `bucketsMax + 1`. */
export const retentionTicksMax = levelsMax * (bucketsMax + 1)

export class AgeHorizon {
  /** By level, each ascending; all of a level are younger than those of the next. */
  readonly #levels: Kept[][] = [[]]
  readonly #onChange: HorizonChange

  constructor(onChange: HorizonChange) {
    this.#onChange = onChange
  }

  get size(): number {
    return this.#levels.reduce((size, level) => size + level.length, 0)
  }

  /** Of the youngest tick; zeroes when there is none. */
  get last(): Readonly<Kept> {
    return this.#levels[0]?.at(-1) ?? { time: 0, position: 0 }
  }

  /** The times and the positions of calls ascend. What says nothing new is not kept. */
  add(time: number, position: number): void {
    const { last } = this
    if (position <= last.position || bucket(time, 0) <= bucket(last.time, 0)) return
    this.#levels[0]!.push({ time, position })
    this.#onChange(time, position)
    this.#age(time)
  }

  /** As they were told to `onChange`, ascending: at a start. */
  restore(kept: readonly { readonly time: number; readonly position: number }[]): void {
    const youngest = kept.at(-1)?.time ?? 0
    this.#levels.length = 0
    this.#levels.push([])
    for (const { time, position } of kept) {
      let level = 0
      while (level < levelsMax - 1 && isTooOld(time, youngest, level)) level++
      while (this.#levels.length <= level) this.#levels.push([])
      this.#levels[level]!.push({ time, position })
    }
  }

  /** The last position that was there at the time; 0: none, as far as is known. */
  at(time: number): number {
    const level = this.#levels.find((kept) => kept.length > 0 && kept[0]!.time <= time)
    if (level === undefined) return 0
    let [low, high] = [0, level.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (level[middle]!.time <= time) low = middle
      else high = middle - 1
    }
    return level[low]!.position
  }

  #age(now: number): void {
    for (let level = 0; level < levelsMax - 1; level++) {
      const kept = this.#levels[level]
      if (kept === undefined) return
      const stay = kept.findIndex(({ time }) => !isTooOld(time, now, level))
      if (stay === 0 || kept.length === 0) continue
      const gone = kept.splice(0, stay < 0 ? kept.length : stay)
      if (this.#levels.length === level + 1) this.#levels.push([])
      for (const tick of gone) this.#moveTo(this.#levels[level + 1]!, level + 1, tick)
    }
  }

  #moveTo(kept: Kept[], level: number, tick: Kept): void {
    const last = kept.at(-1)
    if (last === undefined || bucket(last.time, level) !== bucket(tick.time, level)) {
      kept.push(tick)
      return
    }
    last.position = tick.position
    this.#onChange(last.time, last.position)
    this.#onChange(tick.time, undefined)
  }
}

function bucket(time: number, level: number): number {
  return Math.floor(time / (retentionTickMs * 2 ** level))
}

function isTooOld(time: number, now: number, level: number): boolean {
  return bucket(now, level) - bucket(time, level) > bucketsMax
}
