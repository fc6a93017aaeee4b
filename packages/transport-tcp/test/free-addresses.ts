import { createServer } from 'node:net'

const handedOut = new Set<number>()

/**
 * Addresses on the loopback interface where nobody listens. Below the range that the system takes outgoing ports from
 * (from 32768 on Linux), so that no connection of a test sits on a port that another test was promised.
 */
export async function freeAddresses(count: number): Promise<string[]> {
  const addresses: string[] = []
  while (addresses.length < count) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    if (handedOut.has(port) || !(await isFree(port))) continue
    handedOut.add(port)
    addresses.push(`127.0.0.1:${port}`)
  }
  return addresses
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
