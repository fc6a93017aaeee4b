/**
 * The states that were seen, each a few numbers, in the order in which they were found: an open-addressing hash table over
 * flat arrays, about 40 bytes a state of three nodes.
 */
const none = -1

export class StateTable {
  readonly #width: number
  #cells: Int32Array
  #parents: Int32Array
  #actions: Int32Array
  #buckets: Int32Array
  #size = 0

  /** `width`: numbers a state. */
  constructor(width: number) {
    this.#width = width
    this.#cells = new Int32Array(width * 1024)
    this.#parents = new Int32Array(1024)
    this.#actions = new Int32Array(1024)
    this.#buckets = new Int32Array(4096).fill(none)
  }

  get size(): number {
    return this.#size
  }

  /** The number of a state that is new, or -1. Its action may be told later. */
  add(state: Int32Array, parent: number): number {
    const bucket = this.#find(state)
    if (this.#buckets[bucket] !== none) return none
    if (this.#size === this.#parents.length) this.#grow()
    const number = this.#size++
    this.#cells.set(state, number * this.#width)
    this.#parents[number] = parent
    this.#actions[number] = none
    this.#buckets[bucket] = number
    if (this.#size * 2 > this.#buckets.length) this.#rehash()
    return number
  }

  read(number: number, into: Int32Array): void {
    const from = number * this.#width
    for (let at = 0; at < this.#width; at++) into[at] = this.#cells[from + at]!
  }

  parent(number: number): number {
    return this.#parents[number]!
  }

  setAction(number: number, action: number): void {
    this.#actions[number] = action
  }

  action(number: number): number {
    return this.#actions[number]!
  }

  #find(state: Int32Array): number {
    const mask = this.#buckets.length - 1
    for (let bucket = hash(state) & mask; ; bucket = (bucket + 1) & mask) {
      const number = this.#buckets[bucket]!
      if (number === none || this.#isAt(number, state)) return bucket
    }
  }

  #isAt(number: number, state: Int32Array): boolean {
    const from = number * this.#width
    for (let at = 0; at < this.#width; at++) if (this.#cells[from + at] !== state[at]) return false
    return true
  }

  #grow(): void {
    const doubled = (array: Int32Array): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(array.length * 2)
      larger.set(array)
      return larger
    }
    this.#cells = doubled(this.#cells)
    this.#parents = doubled(this.#parents)
    this.#actions = doubled(this.#actions)
  }

  #rehash(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 2).fill(none)
    const state = new Int32Array(this.#width)
    for (let number = 0; number < this.#size; number++) {
      this.read(number, state)
      this.#buckets[this.#find(state)] = number
    }
  }
}

function hash(state: Int32Array): number {
  let mixed = 0x811c9dc5
  for (const cell of state) {
    mixed = Math.imul(mixed ^ cell, 0x01000193)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d)
  }
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
