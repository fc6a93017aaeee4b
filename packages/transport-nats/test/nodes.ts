import type { Transport, TransportOptions } from '@synod/transport'
import { transport } from '@synod/transport-nats'
import { expect, vi } from 'vitest'

let prefixes = 0

/** Addresses of nodes at one server, on subjects of this test alone. */
export function addressesAt(port: number, ...names: string[]): Map<string, string> {
  const prefix = `synod.test-${process.pid}-${++prefixes}`
  return new Map(names.map((name) => [name, `nats://127.0.0.1:${port}/${prefix}.${name}`]))
}

/** The same subjects at another port. */
export function atPort(addresses: ReadonlyMap<string, string>, port: number): Map<string, string> {
  return new Map([...addresses].map(([node, text]) => [node, text.replace(/:\d+\//, `:${port}/`)]))
}

export function subjectOf(addresses: ReadonlyMap<string, string>, node: string): string {
  return addresses.get(node)!.split('/').at(-1)!
}

/** The nodes of one test; `close` ends all of them. */
export class Nodes {
  readonly addresses: ReadonlyMap<string, string>
  readonly #open: Transport[] = []

  constructor(addresses: ReadonlyMap<string, string>) {
    this.addresses = addresses
  }

  async open(self: string, more: Partial<TransportOptions> = {}): Promise<Transport> {
    const node = await transport.open({ self, addresses: this.addresses, ...more })
    this.#open.push(node)
    return node
  }

  /** One that sends back what it gets. */
  async openEcho(self: string, more: Partial<TransportOptions> = {}): Promise<Transport> {
    const node = await this.open(self, more)
    node.onFrame((from, frame) => node.send(from, frame))
    return node
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((node) => node.close()))
  }
}

/** Waits until counters are at least as given. */
export async function counted(node: Transport, wanted: Readonly<Record<string, number>>, timeout = 10_000): Promise<void> {
  await vi.waitFor(
    () => {
      const counters = node.counters()
      const missing = Object.entries(wanted).filter(([name, count]) => !(counters[name]! >= count))
      expect(missing.map(([name, count]) => ({ name, count, is: counters[name] }))).toEqual([])
    },
    { timeout, interval: 10 },
  )
}

/** Sends until the peer, which echoes, has answered; how long that took, in milliseconds. */
export async function echoed(node: Transport, peer: string, timeout = 15_000): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const token = new TextEncoder().encode(crypto.randomUUID())
  const startedAt = performance.now()
  node.onFrame((from, frame) => {
    if (from === peer && Buffer.from(frame).equals(token)) resolve()
  })
  const again = setInterval(() => node.send(peer, token), 10)
  const late = setTimeout(() => reject(new Error(`no echo from ${peer} in ${timeout} ms: ${JSON.stringify(node.counters())}`)), timeout)
  try {
    await promise
    return performance.now() - startedAt
  } finally {
    clearInterval(again)
    clearTimeout(late)
  }
}
