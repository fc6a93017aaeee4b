/** What travels and what is stored. Never assume that the underlying buffer is exclusively yours. */
export type Bytes = Uint8Array

export function bytesEqual(left: Bytes, right: Bytes): boolean {
  if (left === right) return true
  if (left.length !== right.length) return false
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false
  return true
}

export function bytesToHex(bytes: Bytes): string {
  let hex = ''
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0')
  return hex
}

/** Throws a RangeError when the text is not an even number of hexadecimal digits. */
export function hexToBytes(hex: string): Bytes {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) throw new RangeError(`not hexadecimal: ${hex.slice(0, 64)}`)
  const bytes = new Uint8Array(hex.length / 2)
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16)
  return bytes
}
