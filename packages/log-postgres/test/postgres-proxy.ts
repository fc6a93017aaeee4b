import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/**
 * What happens to the next statement that matches:
 * - `lostAnswer`: the server does it, and the connection is cut before the answer arrives;
 * - `lostStatement`: the connection is cut before the server sees it;
 * - `lateStatement`: the client's side is cut; the server gets the statement when `deliverLate` is called;
 * - `noAnswer`: the server does it, and its answer never comes.
 */
export type Fault = 'lostAnswer' | 'lostStatement' | 'lateStatement' | 'noAnswer'

export interface PostgresProxy {
  readonly port: number
  /** Faults happen in this order, each once, to statements whose bytes hold the text. */
  arm(...faults: readonly { readonly fault: Fault; readonly text: string }[]): void
  /** Faults that did not happen yet. */
  armed(): number
  /** Sends what was held back, and resolves when the server has dealt with it and hung up. */
  deliverLate(): Promise<void>
  close(): void
}

/** Between a client and a Postgres server on the loopback interface. */
export async function postgresProxy(serverPort: number): Promise<PostgresProxy> {
  const armed: { readonly fault: Fault; readonly text: string }[] = []
  const sockets = new Set<Socket>()
  const late: (() => Promise<void>)[] = []
  const proxy = createServer((client) => {
    const server = connect({ port: serverPort, host: '127.0.0.1' })
    let swallowing: Fault | undefined
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('data', (chunk: Buffer) => {
      const next = armed[0]
      if (next === undefined || !chunk.includes(next.text)) return void server.write(chunk)
      armed.shift()
      if (next.fault === 'lostStatement') {
        server.destroy()
        return void client.destroy()
      }
      swallowing = next.fault
      if (next.fault === 'lateStatement') {
        const gone = new Promise<void>((resolve) => server.once('close', () => resolve()))
        // A Terminate message follows, as it would when the server reads what a dead client had sent.
        late.push(() => {
          server.end(Buffer.concat([chunk, Buffer.from([0x58, 0, 0, 0, 4])]))
          return gone
        })
        return void client.destroy()
      }
      server.write(chunk)
    })
    server.on('data', (chunk: Buffer) => {
      if (swallowing === undefined) return void client.write(chunk)
      // ReadyForQuery is the end of the answer: by then the transaction is committed.
      if (swallowing === 'lostAnswer' && chunk.includes(Buffer.from([0x5a, 0, 0, 0, 5]))) {
        server.destroy()
        client.destroy()
      }
    })
    client.on('close', () => swallowing !== 'lateStatement' && server.destroy())
    server.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    port: (proxy.address() as AddressInfo).port,
    arm: (...faults) => void armed.push(...faults),
    armed: () => armed.length,
    deliverLate: async () => void (await Promise.all(late.splice(0).map((deliver) => deliver()))),
    close: () => {
      proxy.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
