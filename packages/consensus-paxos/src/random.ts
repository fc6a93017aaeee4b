/** Mulberry32: small, seeded, copied with the rest of the state. For randomised time-outs only. */
export interface RandomState {
  state: number
}

/** A number in [0, 1). */
export function drawRandom(random: RandomState): number {
  random.state = (random.state + 0x6d2b79f5) | 0
  let bits = random.state
  bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
  return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
}
