import type { Bytes } from '@synod/codec'

/** `length` bytes that differ from those of any other number, wherever one looks. */
export function numberedFrame(number: number, length: number): Bytes {
  const frame = new Uint8Array(length)
  let state = (number + 1) * 0x9e37_79b1
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 0x0019_660d) + 0x3c6e_f35f) | 0
    frame[at] = state >>> 24
  }
  if (length >= 4) new DataView(frame.buffer).setUint32(0, number)
  return frame
}

export function sameBytes(left: Bytes, right: Bytes): boolean {
  return Buffer.compare(left, right) === 0
}
