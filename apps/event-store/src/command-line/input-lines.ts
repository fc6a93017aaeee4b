/** Lines of UTF-8 from bytes, with a bound on what one line may hold. */
export interface InputLine {
  /** From 1. */
  readonly number: number
  /** Without the line end. */
  readonly text: string
  /** Of the input up to the end of this line. */
  readonly bytesUpTo: number
  /** Why `text` is empty although the line is not. */
  readonly problem?: string
}

/** An event of 1 MiB whose every character is an escape still fits. */
const lineBytesMax = 8 * 1024 * 1024
const lineFeed = 0x0a
const utf8 = new TextDecoder('utf-8', { fatal: true })

export async function* inputLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<InputLine, void, undefined> {
  let parts: Uint8Array[] = []
  let [bytes, bytesUpTo, number] = [0, 0, 0]
  const end = (): InputLine => {
    number++
    const line = toLine(number, parts, bytes, bytesUpTo)
    parts = []
    bytes = 0
    return line
  }
  for await (const chunk of chunks) {
    let from = 0
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, from)) {
      add(chunk.subarray(from, at))
      from = at + 1
      bytesUpTo++
      yield end()
    }
    add(chunk.subarray(from))
  }
  if (bytes > 0) yield end()

  function add(part: Uint8Array): void {
    bytes += part.length
    bytesUpTo += part.length
    // What is beyond the bound is counted and let go.
    if (bytes <= lineBytesMax) parts.push(part)
    else parts = []
  }
}

function toLine(number: number, parts: readonly Uint8Array[], bytes: number, bytesUpTo: number): InputLine {
  if (bytes > lineBytesMax) return { number, text: '', bytesUpTo, problem: `it has ${bytes} bytes: at most ${lineBytesMax} are read` }
  try {
    // Decoding takes a byte order mark away; trimming a carriage return.
    return { number, text: utf8.decode(Buffer.concat(parts)).trim(), bytesUpTo }
  } catch {
    return { number, text: '', bytesUpTo, problem: 'it is not UTF-8' }
  }
}
