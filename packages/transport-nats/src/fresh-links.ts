import type { NodeId } from '@synod/transport'

/** Instances of one peer that are remembered; the one that was new the longest ago is forgotten first. */
const livesMax = 4

/**
 * Tells what was sent on an earlier connection of a peer from what was sent on its latest: a server that was stopped delivers
 * both when it wakes, in any order.
 */
export class FreshLinks {
  readonly #links = new Map<NodeId, Map<number, number>>()

  /** Peers only: what is remembered grows with them. */
  isFresh(from: NodeId, life: number, link: number): boolean {
    let lives = this.#links.get(from)
    if (lives === undefined) this.#links.set(from, (lives = new Map()))
    const latest = lives.get(life)
    if (latest !== undefined && link < latest) return false
    if (latest === undefined && lives.size >= livesMax) {
      const [oldest] = lives.keys()
      lives.delete(oldest!)
    }
    lives.set(life, link)
    return true
  }
}
