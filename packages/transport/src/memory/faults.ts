/**
 * What is wrong with which link: a table that tests and the simulator change while frames flow, and the dice that decide
 * each frame's fate. It sends nothing itself: `faultyTransport` asks it.
 *
 * A link is (from, to), so faults are one way unless set both ways; `kind` narrows them to some frames. Each link has dice
 * of its own, seeded by (seed, from, to): traffic on one link never changes what happens on another, and a replay in
 * which the same frames are sent in the same order on a link is hit in the same places.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from '../node-id.ts'
import { seededRandom } from './seeded-random.ts'

export interface LinkFaults {
  /** The share of frames that is lost, 0 to 1. */
  readonly lossRate: number
  /** The share of frames that arrives twice, 0 to 1. Each copy has a delay of its own. */
  readonly duplicateRate: number
  /** Every copy waits this long at least, in milliseconds. Delays that differ also reorder. */
  readonly delayMsMin: number
  /** Every copy waits this long at most. Raised to `delayMsMin` where it is less. */
  readonly delayMsMax: number
  /** The share of copies that waits up to `stragglerMsMax` longer, 0 to 1: reordering, and with hours, old replays. */
  readonly stragglerRate: number
  readonly stragglerMsMax: number
  /** Nothing passes, what is already under way included. */
  readonly cut: boolean
}

/** Which frames: an absent `from`, `to` or `kind` matches all. */
export interface LinkSelector {
  readonly from?: NodeId
  readonly to?: NodeId
  readonly kind?: string
}

export interface FaultsOptions {
  /** Decides every fate. Default 1. */
  readonly seed?: number | string
  /** Names a frame, for rules with a `kind`; called only while there are such rules. */
  readonly kindOf?: (frame: Bytes) => string
}

const none: LinkFaults = {
  lossRate: 0,
  duplicateRate: 0,
  delayMsMin: 0,
  delayMsMax: 0,
  stragglerRate: 0,
  stragglerMsMax: 0,
  cut: false,
}

const onTime: readonly number[] = [0]
const never: readonly number[] = []

export class Faults {
  readonly #seed: string
  readonly #kindOf: ((frame: Bytes) => string) | undefined
  /** In the order of setting; a later one overrides the fields that it names. One per selector, so it stays small. */
  readonly #rules = new Map<string, { readonly on: LinkSelector; readonly faults: Partial<LinkFaults> }>()
  readonly #merged = new Map<string, LinkFaults>()
  readonly #dice = new Map<string, () => number>()
  #kindsMatter = false

  constructor(options: FaultsOptions = {}) {
    this.#seed = String(options.seed ?? 1)
    this.#kindOf = options.kindOf
  }

  /** Adds to what was set for exactly this selector before. Throws a RangeError for rates outside 0..1 and negative times. */
  set(on: LinkSelector, faults: Partial<LinkFaults>): this {
    check(faults)
    const key = keyOf(on.from, on.to, on.kind)
    const before = this.#rules.get(key)?.faults
    this.#rules.delete(key)
    this.#rules.set(key, { on, faults: { ...before, ...faults } })
    return this.#changed()
  }

  /** One way; omit an end to mean every node. */
  cut(from?: NodeId, to?: NodeId): this {
    return this.set(selector(from, to), { cut: true })
  }

  /** Undoes `cut`, one way. It is the newest rule, so it also holds against an older and wider cut. */
  mend(from?: NodeId, to?: NodeId): this {
    return this.set(selector(from, to), { cut: false })
  }

  /** Nothing to it and nothing from it. */
  isolate(node: NodeId): this {
    return this.cut(node).cut(undefined, node)
  }

  /** Cuts every link between nodes of different groups, both ways; links inside a group stay as they are. */
  partition(...groups: readonly (readonly NodeId[])[]): this {
    for (const [index, group] of groups.entries())
      for (const other of groups.slice(index + 1))
        for (const left of group) for (const right of other) this.cut(left, right).cut(right, left)
    return this
  }

  /** Everything is well again. The dice go on where they were. */
  heal(): this {
    this.#rules.clear()
    return this.#changed()
  }

  /** Whether anything is set at all: lets a healthy transport skip the rest. */
  get active(): boolean {
    return this.#rules.size > 0
  }

  isCut(from: NodeId, to: NodeId, frame: Bytes): boolean {
    return this.active && this.#of(from, to, frame).cut
  }

  /** How many milliseconds each copy waits: none for a lost frame, one for a usual one, two for a doubled one. */
  fate(from: NodeId, to: NodeId, frame: Bytes): readonly number[] {
    if (!this.active) return onTime
    const faults = this.#of(from, to, frame)
    if (faults === none) return onTime
    if (faults.cut) return never
    const roll = this.#diceOf(from, to)
    if (faults.lossRate > 0 && roll() < faults.lossRate) return never
    const first = delayOf(faults, roll)
    if (faults.duplicateRate > 0 && roll() < faults.duplicateRate) return [first, delayOf(faults, roll)]
    return first === 0 ? onTime : [first]
  }

  #of(from: NodeId, to: NodeId, frame: Bytes): LinkFaults {
    const kind = this.#kindsMatter ? this.#kindOf?.(frame) : undefined
    const key = keyOf(from, to, kind)
    const known = this.#merged.get(key)
    if (known !== undefined) return known
    let merged = none
    for (const { on, faults } of this.#rules.values()) {
      const matches = (on.from ?? from) === from && (on.to ?? to) === to && (on.kind === undefined || on.kind === kind)
      if (matches) merged = { ...merged, ...faults }
    }
    this.#merged.set(key, merged)
    return merged
  }

  #diceOf(from: NodeId, to: NodeId): () => number {
    const key = keyOf(from, to, undefined)
    let dice = this.#dice.get(key)
    if (dice === undefined) this.#dice.set(key, (dice = seededRandom(`${this.#seed} ${key}`)))
    return dice
  }

  #changed(): this {
    this.#merged.clear()
    this.#kindsMatter = [...this.#rules.values()].some(({ on }) => on.kind !== undefined)
    return this
  }
}

function delayOf(faults: LinkFaults, roll: () => number): number {
  const { delayMsMin, delayMsMax, stragglerRate, stragglerMsMax } = faults
  let delay = delayMsMax > delayMsMin ? delayMsMin + roll() * (delayMsMax - delayMsMin) : delayMsMin
  if (stragglerRate > 0 && roll() < stragglerRate) delay += roll() * stragglerMsMax
  return delay
}

function selector(from: NodeId | undefined, to: NodeId | undefined): LinkSelector {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

/** Spaces are in no node id; an absent part is `*`, which is in none either. */
function keyOf(from: NodeId | undefined, to: NodeId | undefined, kind: string | undefined): string {
  return `${from ?? '*'} ${to ?? '*'} ${kind ?? '*'}`
}

function check(faults: Partial<LinkFaults>): void {
  for (const [name, value] of Object.entries(faults)) {
    if (!(name in none)) throw new RangeError(`no fault is called ${name}; there are ${Object.keys(none).join(', ')}`)
    if (typeof value !== 'number') continue
    const max = name.endsWith('Rate') ? 1 : Number.MAX_SAFE_INTEGER
    if (!(value >= 0 && value <= max)) throw new RangeError(`${name} must be a number in 0..${max}, not ${value}`)
  }
}
