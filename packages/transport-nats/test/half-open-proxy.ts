import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/**
 * A way to a server that can be made a black hole while its connections stand: nothing is passed on, goodbyes neither, and
 * nothing is read, so what is sent into it piles up at the sender.
 */
export class HalfOpenProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #swallows = false

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('data', (chunk: Buffer) => to.write(chunk))
        if (this.#swallows) from.pause()
        from.on('error', () => this.#swallows || to.destroy())
        from.on('close', () => {
          this.#sockets.delete(from)
          if (!this.#swallows) to.destroy()
        })
      }
    })
  }

  static async to(port: number): Promise<HalfOpenProxy> {
    const proxy = new HalfOpenProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#sockets.size
  }

  swallow(): void {
    this.#swallows = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** New connections pass; those that were swallowed stay dead. */
  heal(): void {
    this.#swallows = false
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}
