/** A broken invariant stops the node: carrying on could break agreement. Checked in production. */
export function invariant(holds: boolean, broken: () => string): asserts holds {
  if (!holds) throw new Error(`a Paxos invariant is broken: ${broken()}`)
}
