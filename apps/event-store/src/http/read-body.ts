/**
 * Bodies are counted while they arrive. One that says or turns out to be too large is refused at once; what is still on its way
 * is thrown away, within bounds, so that the client gets to read the refusal instead of a broken connection.
 */
import type { IncomingMessage } from 'node:http'
import type { Bytes } from '@synod/codec'
import type { HttpLimits } from '../config/node-config.ts'
import type { BytesInFlight } from './bytes-in-flight.ts'
import { busy, HttpError, invalidArgument, tooLarge } from './http-error.ts'

const discardedBytesMax = 67_108_864
const discardMillisecondsMax = 2_000

/** All bodies of a server: what has arrived of each counts, until it is answered; whoever would go beyond the bound is refused as busy. */
export class BodyReader {
  readonly #limits: HttpLimits
  /** What has arrived. What is only announced counts for nothing: a promise holds no memory. */
  readonly #inFlight: BytesInFlight

  constructor(limits: HttpLimits, inFlight: BytesInFlight) {
    this.#limits = limits
    this.#inFlight = inFlight
  }

  /** Calls `use` with the body; its bytes count as in flight until that is done. @throws HttpError 413, 503 `busy`, 415, 408, 400 */
  async withBody<T>(request: IncomingMessage, use: (body: Bytes) => Promise<T>): Promise<T> {
    const { bodyBytesMax, bodyStallMillisecondsMax } = this.#limits
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding.trim().toLowerCase() !== 'identity') throw discard(request, encodedAs(encoding))
    let held = 0
    const refusalOf = (bytes: number): HttpError | undefined => {
      if (held + bytes > bodyBytesMax) return tooLarge(`the body is larger than ${bodyBytesMax} bytes: split the append`)
      if (this.#inFlight.fits(bytes)) return undefined
      return busy('too many bytes of requests are under way at this node: try again')
    }
    const take = (bytes: number): HttpError | undefined => {
      const refusal = refusalOf(bytes)
      if (refusal !== undefined) return refusal
      held += bytes
      this.#inFlight.take(bytes)
      return undefined
    }
    const hopeless = refusalOf(Number(request.headers['content-length'] ?? 0))
    if (hopeless !== undefined) throw discard(request, hopeless)
    try {
      return await use(await collect(request, take, bodyStallMillisecondsMax))
    } finally {
      this.#inFlight.release(held)
    }
  }
}

/** One buffer that doubles: a body that comes in pieces of one byte costs its bytes, not an object for each. */
class GatheredBytes {
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0

  add(chunk: Buffer): void {
    const length = this.#length + chunk.length
    if (this.#length === 0) this.#buffer = chunk
    else {
      if (length > this.#buffer.length) {
        const larger = Buffer.allocUnsafe(Math.max(length, this.#buffer.length * 2))
        this.#buffer.copy(larger, 0, 0, this.#length)
        this.#buffer = larger
      }
      chunk.copy(this.#buffer, this.#length)
    }
    this.#length = length
  }

  bytes(): Bytes {
    return this.#buffer.subarray(0, this.#length)
  }
}

function collect(request: IncomingMessage, take: (bytes: number) => HttpError | undefined, stallMilliseconds: number): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const gathered = new GatheredBytes()
    const stop = (): void => {
      clearTimeout(stalled)
      request.off('data', onData)
    }
    const refuse = (why: HttpError): void => {
      stop()
      reject(discard(request, why))
    }
    const onData = (chunk: Buffer): void => {
      const refusal = take(chunk.length)
      if (refusal !== undefined) return refuse(refusal)
      stalled.refresh()
      gathered.add(chunk)
    }
    const onCut = (): void => {
      stop()
      reject(invalidArgument('the request ended before its body did'))
    }
    const stalled = setTimeout(() => refuse(tooSlow(stallMilliseconds)), stallMilliseconds)
    request.on('data', onData)
    request.on('end', () => {
      stop()
      resolve(gathered.bytes())
    })
    request.on('error', onCut)
    request.on('close', onCut)
  })
}

function encodedAs(encoding: string): HttpError {
  const named = JSON.stringify(encoding.slice(0, 64))
  return new HttpError(415, 'invalid_argument', `content-encoding is ${named}: allowed is identity, so send the body as it is`)
}

function tooSlow(milliseconds: number): HttpError {
  return new HttpError(408, 'invalid_argument', `nothing of the body came for ${milliseconds} ms: send it again`)
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
