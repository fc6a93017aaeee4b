/** Timers of virtual time in a binary heap: the next one is first, ties go in the order of asking. */
export interface Timed {
  readonly time: number
  /** Counted up by whoever adds. */
  readonly order: number
}

export class TimerHeap<T extends Timed> {
  readonly #heap: T[] = []

  get next(): T | undefined {
    return this.#heap[0]
  }

  push(timer: T): void {
    const heap = this.#heap
    let at = heap.push(timer) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(timer, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = timer
  }

  /** Removes `next`. */
  pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      const right = heap[child + 1]
      let least = heap[child]
      if (least === undefined) break
      if (right !== undefined && isBefore(right, least)) {
        least = right
        child++
      }
      if (!isBefore(least, last)) break
      heap[at] = least
      at = child
    }
    heap[at] = last
  }
}

function isBefore(left: Timed, right: Timed): boolean {
  return left.time < right.time || (left.time === right.time && left.order < right.order)
}
