/** Bytes that do not decode: from a peer, a client or a disk. Nothing of them was used. */
export class MalformedError extends Error {
  readonly code = 'malformed'
  constructor(what: string) {
    super(`malformed bytes: ${what}`)
    this.name = 'MalformedError'
  }
}
