/**
 * Numbers in [0, 1) that a text seed decides: the same seed gives the same numbers on every machine. The generator is
 * mulberry32 (Tommy Ettinger, public domain) on an FNV-1a hash of the seed: good enough for faults, nothing for secrets.
 */
export function seededRandom(seed: string): () => number {
  let state = 0x811c_9dc5
  for (let at = 0; at < seed.length; at++) state = Math.imul(state ^ seed.charCodeAt(at), 0x0100_0193)
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
