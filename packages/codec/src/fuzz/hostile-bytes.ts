/**
 * Bytes that nobody should send, made of bytes that somebody does: with bits and bytes changed, lengths that lie, cut, longer,
 * put together from two, or of nothing but chance. The same seed makes the same bytes on every machine.
 */
import type { Bytes } from '../bytes.ts'

/** What a length or a count is replaced by, beside those near the true ones. */
const lies = [0, 1, 2, 0x7f, 0xff, 0xffff, 0x01_0000, 0x00ff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]

export function* hostileBytes(samples: readonly Bytes[], count: number, seed: number): Generator<Bytes> {
  const roll = dice(seed)
  const pick = (): Bytes => samples[roll(samples.length)] ?? new Uint8Array(0)
  for (let made = 0; made < count; made++) {
    const bytes = pick().slice()
    switch (roll(8)) {
      case 0:
        yield flipped(bytes, roll)
        break
      case 1:
      case 2:
        yield withLie(bytes, roll)
        break
      case 3:
        yield bytes.subarray(0, roll(bytes.length + 1))
        break
      case 4:
        yield joined(bytes, chance(1 + roll(32), roll))
        break
      case 5:
        yield joined(bytes.subarray(0, roll(bytes.length + 1)), pick().subarray(roll(bytes.length + 1)))
        break
      case 6:
        yield spoiled(bytes, roll)
        break
      default:
        yield chance(roll(64), roll)
    }
  }
}

type Dice = (below: number) => number

/** A number from 0 to `below` - 1; the generator of Numerical Recipes, good enough to break things. */
function dice(seed: number): Dice {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function flipped(bytes: Bytes, roll: Dice): Bytes {
  for (let left = 1 + roll(4); left > 0; left--) {
    const at = roll(bytes.length)
    if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << roll(8))
  }
  return bytes
}

function spoiled(bytes: Bytes, roll: Dice): Bytes {
  for (let left = 1 + roll(8); left > 0; left--) if (bytes.length > 0) bytes[roll(bytes.length)] = roll(256)
  return bytes
}

function withLie(bytes: Bytes, roll: Dice): Bytes {
  if (bytes.length < 4) return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const at = roll(bytes.length - 3)
  const near = view.getUint32(at) + roll(5) - 2
  view.setUint32(at, roll(3) === 0 ? near >>> 0 : (lies[roll(lies.length)] ?? 0))
  return bytes
}

function chance(length: number, roll: Dice): Bytes {
  return Uint8Array.from({ length }, () => roll(256))
}

function joined(left: Bytes, right: Bytes): Bytes {
  const bytes = new Uint8Array(left.length + right.length)
  bytes.set(left)
  bytes.set(right, left.length)
  return bytes
}
