/**
 * The event ids of the last `window` positions: a ring of ids with their stream and revision by position, and an
 * open-addressing index from id to place in the ring. Typed arrays only: 38 bytes an id at the default window, grown by
 * doubling. What it answers depends on the appended events alone; the hash seed, drawn per process, does not show.
 */
import type { Bytes } from '@synod/codec'

const initialCapacity = 1024

export class EventIds {
  readonly #window: number
  readonly #seed: number
  #capacity = initialCapacity
  /** Four words an id, by place. */
  #ids = new Uint32Array(initialCapacity * 4)
  #streams = new Uint32Array(initialCapacity)
  #revisions = new Float64Array(initialCapacity)
  /** Place + 1, or 0; twice the capacity, linear probing. */
  #index = new Uint32Array(initialCapacity * 2)
  /** The positions held are those from `first` to `head`. */
  #first = 1
  #head = 0
  readonly #probe = new Uint32Array(4)

  constructor(window: number, seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) {
    this.#window = window
    this.#seed = seed
  }

  /** Begins anew: the next id added is that of `position`. */
  restart(position: number): void {
    this.#first = position
    this.#head = position - 1
    this.#index.fill(0)
  }

  get bytes(): number {
    return this.#capacity * 36
  }

  /** The position of the event with the id at `offset`, or 0 when none is recognised. */
  position(bytes: Bytes, offset: number): number {
    load(this.#probe, 0, bytes, offset)
    const at = this.#find(this.#probe, 0)
    const place = (this.#index[at] ?? 0) - 1
    return place < 0 ? 0 : this.#positionAt(place)
  }

  /** Whether the position is in the window: then its stream and revision are known. */
  holds(position: number): boolean {
    return position >= this.#first && position <= this.#head
  }

  streamNumber(position: number): number {
    return this.#streams[position % this.#capacity] ?? 0
  }

  revision(position: number): number {
    return this.#revisions[position % this.#capacity] ?? 0
  }

  /** The id of position head + 1. It must not be recognised. The one that leaves the window is forgotten. */
  add(bytes: Bytes, offset: number, streamNumber: number, revision: number): void {
    const position = this.#head + 1
    if (position - this.#first >= this.#window) this.#forget(this.#first++)
    if (position - this.#first >= this.#capacity) this.#grow()
    const place = position % this.#capacity
    load(this.#ids, place * 4, bytes, offset)
    this.#streams[place] = streamNumber
    this.#revisions[place] = revision
    this.#index[this.#find(this.#ids, place * 4)] = place + 1
    this.#head = position
  }

  #positionAt(place: number): number {
    const headPlace = this.#head % this.#capacity
    return this.#head - ((headPlace - place + this.#capacity) % this.#capacity)
  }

  /** Where in the index the id stands, or the empty cell where it would. */
  #find(words: Uint32Array, from: number): number {
    const mask = this.#index.length - 1
    for (let at = this.#hash(words, from) & mask; ; at = (at + 1) & mask) {
      const entry = this.#index[at] ?? 0
      if (entry === 0 || equal(this.#ids, (entry - 1) * 4, words, from)) return at
    }
  }

  /** Backward-shift deletion: no tombstones, so probes stay short for ever. */
  #forget(position: number): void {
    const mask = this.#index.length - 1
    let hole = this.#find(this.#ids, (position % this.#capacity) * 4)
    for (let at = (hole + 1) & mask; this.#index[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hash(this.#ids, ((this.#index[at] ?? 1) - 1) * 4) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      this.#index[hole] = this.#index[at] ?? 0
      hole = at
    }
    this.#index[hole] = 0
  }

  #grow(): void {
    const [ids, streams, revisions, capacity] = [this.#ids, this.#streams, this.#revisions, this.#capacity]
    this.#capacity = capacity * 2
    this.#ids = new Uint32Array(this.#capacity * 4)
    this.#streams = new Uint32Array(this.#capacity)
    this.#revisions = new Float64Array(this.#capacity)
    this.#index = new Uint32Array(this.#capacity * 2)
    for (let position = this.#first; position <= this.#head; position++) {
      const [from, to] = [position % capacity, position % this.#capacity]
      for (let word = 0; word < 4; word++) this.#ids[to * 4 + word] = ids[from * 4 + word] ?? 0
      this.#streams[to] = streams[from] ?? 0
      this.#revisions[to] = revisions[from] ?? 0
      this.#index[this.#find(this.#ids, to * 4)] = to + 1
    }
  }

  #hash(words: Uint32Array, from: number): number {
    let hash = this.#seed
    for (let word = 0; word < 4; word++) {
      hash = Math.imul(hash ^ (words[from + word] ?? 0), 0x9e37_79b1)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash, 0x85eb_ca6b)
    return (hash ^ (hash >>> 13)) >>> 0
  }
}

function load(words: Uint32Array, to: number, bytes: Bytes, offset: number): void {
  for (let word = 0; word < 4; word++) {
    const at = offset + word * 4
    words[to + word] = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
  }
}

function equal(left: Uint32Array, at: number, right: Uint32Array, from: number): boolean {
  return (
    left[at] === right[from] && left[at + 1] === right[from + 1] && left[at + 2] === right[from + 2] && left[at + 3] === right[from + 3]
  )
}
