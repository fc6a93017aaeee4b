/** A client of the connection that knows frames and nothing more: what is sent, when, and what comes back, a test decides. */
import { once } from 'node:events'
import { WebSocket, type ClientOptions } from 'ws'
import { clientFrameWriter, connectionPath, readNodeFrame, subprotocol, type ClientMessage, type NodeMessage } from '@synod/client-protocol'

export interface Closed {
  readonly code: number
  readonly reason: string
}

export class FrameClient implements AsyncDisposable {
  readonly webSocket: WebSocket
  /** Messages of each frame that came. */
  readonly frames: NodeMessage[][] = []
  readonly closed: Promise<Closed>
  #taken = 0
  #wake = Promise.withResolvers<void>()

  private constructor(webSocket: WebSocket) {
    this.webSocket = webSocket
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    webSocket.on('message', (data) => {
      this.frames.push(readNodeFrame(data as Buffer))
      this.#woken()
    })
    webSocket.on('error', () => {}) // a test that wants to know awaits `closed`
    webSocket.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() })
      this.#woken()
    })
  }

  /** Open, and the first message has come, unless it is told not to wait. */
  static async connect(port: number, options: ClientOptions & { readonly reads?: boolean } = {}): Promise<FrameClient> {
    const { reads = true, ...rest } = options
    const webSocket = new WebSocket(`ws://127.0.0.1:${port}${connectionPath}`, subprotocol, { perMessageDeflate: false, ...rest })
    const client = new FrameClient(webSocket)
    await once(webSocket, 'open')
    if (reads) await client.next('topology')
    else webSocket.pause()
    return client
  }

  /** One frame. */
  send(...messages: ClientMessage[]): void {
    this.webSocket.send(encode(...messages))
  }

  /** The next message of this kind that was not taken yet; those before it are passed over. */
  async next<K extends NodeMessage['kind']>(kind: K): Promise<Extract<NodeMessage, { kind: K }>> {
    for (;;) {
      for (const all = this.messages; this.#taken < all.length;) {
        const message = all[this.#taken++]
        if (message?.kind === kind) return message as Extract<NodeMessage, { kind: K }>
      }
      if (this.webSocket.readyState === WebSocket.CLOSED)
        throw new Error(`closed while ${kind} was awaited: ${JSON.stringify(await this.closed)}`)
      await this.#wake.promise
    }
  }

  get messages(): NodeMessage[] {
    return this.frames.flat()
  }

  /** All messages of a request, up to the one that is the last. */
  async until(isLast: (message: NodeMessage) => boolean): Promise<NodeMessage[]> {
    for (;;) {
      const at = this.messages.findIndex(isLast)
      if (at >= 0) return this.messages.slice(0, at + 1)
      if (this.webSocket.readyState === WebSocket.CLOSED) throw new Error(`closed: ${JSON.stringify(await this.closed)}`)
      await this.#wake.promise
    }
  }

  /** Of what came before nothing is kept. */
  forget(): void {
    this.frames.length = 0
    this.#taken = 0
  }

  async close(): Promise<void> {
    this.webSocket.terminate()
    await this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #woken(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }
}

export function encode(...messages: ClientMessage[]): Uint8Array {
  const writer = clientFrameWriter()
  for (const message of messages) writer.add(message)
  return writer.take()
}
