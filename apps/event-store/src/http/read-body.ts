/**
 * Bodies are counted while they arrive. One that says or turns out to be too large is refused at once; what is still on its way
 * is thrown away, within bounds, so that the client gets to read the refusal instead of a broken connection.
 */
import type { IncomingMessage } from 'node:http'
import type { Bytes } from '@synod/codec'
import type { HttpLimits } from '../config/node-config.ts'
import { busy, invalidArgument, tooLarge, type HttpError } from './http-error.ts'

const discardedBytesMax = 67_108_864
const discardMillisecondsMax = 2_000

/** All bodies of a server: each reserves what it may need, and whoever would go beyond the bound is refused as busy. */
export class BodyReader {
  readonly #limits: HttpLimits
  #inFlight = 0

  constructor(limits: HttpLimits) {
    this.#limits = limits
  }

  /** Calls `use` with the body; its bytes count as in flight until that is done. @throws HttpError 413, 503 `busy`, 400 */
  async withBody<T>(request: IncomingMessage, use: (body: Bytes) => Promise<T>): Promise<T> {
    const { bodyBytesMax, bodyBytesInFlightMax } = this.#limits
    const declared = request.headers['content-length']
    const length = declared === undefined ? undefined : Number(declared)
    if (length !== undefined && length > bodyBytesMax) throw discard(request, tooLargeFor(bodyBytesMax))
    const reserved = length ?? bodyBytesMax
    if (this.#inFlight + reserved > bodyBytesInFlightMax) {
      throw discard(request, busy('too many bytes of requests are under way at this node: try again'))
    }
    this.#inFlight += reserved
    try {
      return await use(await collect(request, bodyBytesMax))
    } finally {
      this.#inFlight -= reserved
    }
  }
}

function collect(request: IncomingMessage, bytesMax: number): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      if (bytes <= bytesMax) return void chunks.push(chunk)
      chunks.length = 0
      request.off('data', onData)
      reject(discard(request, tooLargeFor(bytesMax)))
    }
    request.on('data', onData)
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Bytes) : Buffer.concat(chunks)))
    request.on('error', () => reject(invalidArgument('the request ended before its body did')))
    request.on('close', () => reject(invalidArgument('the request ended before its body did')))
  })
}

function tooLargeFor(bytesMax: number): HttpError {
  return tooLarge(`the body is larger than ${bytesMax} bytes: split the append`)
}

function discard(request: IncomingMessage, why: HttpError): HttpError {
  let left = discardedBytesMax
  const stop = (): void => void request.socket.destroy()
  const timer = setTimeout(stop, discardMillisecondsMax)
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) stop()
  })
  request.on('close', () => clearTimeout(timer))
  request.on('end', () => clearTimeout(timer))
  request.resume()
  return why
}
