import type { Bytes } from '@synod/codec'
import type { NodeId } from '../node-id.ts'
import type { Transport } from '../transport.ts'

export interface Received {
  readonly from: NodeId
  readonly frame: Bytes
}

/** The listener of one transport: keeps what arrives, by reference, and lets a test wait for it. */
export class Inbox {
  readonly received: Received[] = []
  readonly #waiting = new Set<() => void>()

  constructor(transport: Transport) {
    transport.onFrame((from, frame) => {
      this.received.push({ from, frame })
      for (const look of this.#waiting) look()
    })
  }

  /**
   * Resolves with the first frame, past or future, that `is` accepts. Frames may be lost, so `again` is called at once and
   * then every 20 ms to send once more. Rejects after `msMax`.
   */
  async first(is: (received: Received) => boolean, again: () => void, msMax: number): Promise<Received> {
    const { promise, resolve, reject } = Promise.withResolvers<Received>()
    const look = () => {
      const found = this.received.find(is)
      if (found !== undefined) resolve(found)
    }
    this.#waiting.add(look)
    const retry = setInterval(again, 20)
    const timeout = setTimeout(() => reject(new Error(`no such frame in ${msMax} ms; ${this.received.length} others arrived`)), msMax)
    try {
      look()
      again()
      return await promise
    } finally {
      this.#waiting.delete(look)
      clearInterval(retry)
      clearTimeout(timeout)
    }
  }
}
