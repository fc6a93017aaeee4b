import type { ModelState, PaxosModel } from './paxos-model.ts'

export interface ModelStates {
  /** Of every reachable state, in the order in which they were found. */
  readonly keys: ReadonlySet<string>
  /** Steps to the furthest one. */
  readonly depth: number
}

/** Breadth-first. Throws when a state has two values chosen, which only quorums that miss each other allow, or when there are more than `statesMax`. */
export function modelStates(model: PaxosModel, statesMax = 2_000_000): ModelStates {
  const initial = model.initial()
  const keys = new Set([model.key(initial)])
  let depth = 0
  let level: ModelState[] = [initial]
  for (;;) {
    const next: ModelState[] = []
    for (const state of level) {
      for (const action of model.actions(state)) {
        const successor = state.slice()
        model.perform(successor, action)
        const key = model.key(successor)
        if (keys.has(key)) continue
        if (keys.size >= statesMax) throw new RangeError(`the model has more than ${statesMax} states: take a smaller one`)
        if (model.chosen(successor).size > 1)
          throw new Error(`two values are chosen after ${depth + 1} steps of the model: its quorums do not meet`)
        keys.add(key)
        next.push(successor)
      }
    }
    if (next.length === 0) return { keys, depth }
    level = next
    depth++
  }
}
