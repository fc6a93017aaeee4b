import { once } from 'node:events'
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Transport, TransportOptions } from '@synod/transport'
import { transport } from '@synod/transport-tcp'
import { expect, vi } from 'vitest'
import { freeAddresses } from './free-addresses.ts'

/** The nodes, child processes and addresses of one test; `close` ends all of them. */
export class Nodes {
  readonly addresses: ReadonlyMap<string, string>
  readonly #open: Transport[] = []
  readonly #children: ChildProcess[] = []

  private constructor(addresses: ReadonlyMap<string, string>) {
    this.addresses = addresses
  }

  static async create(...names: string[]): Promise<Nodes> {
    const addresses = await freeAddresses(names.length)
    return new Nodes(new Map(names.map((name, at) => [name, addresses[at]!])))
  }

  portOf(node: string): number {
    return Number(this.addresses.get(node)!.split(':')[1])
  }

  async open(self: string, more: Partial<TransportOptions> = {}): Promise<Transport> {
    const node = await transport.open({ self, addresses: this.addresses, ...more })
    this.#open.push(node)
    return node
  }

  /** A node in a process of its own, which echoes what it gets. */
  async spawn(self: string, options: object = {}): Promise<ChildProcess> {
    const places = [...this.addresses].map(([node, address]) => `${node}=${address}`)
    const script = fileURLToPath(new URL('peer-process.ts', import.meta.url))
    const child = spawn(process.execPath, [script, self, JSON.stringify(options), ...places], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#children.push(child)
    await once(child.stdout!, 'data')
    return child
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    await Promise.all(this.#open.map((node) => node.close()))
  }
}

/** Waits until counters are at least as given. */
export async function counted(node: Transport, wanted: Readonly<Record<string, number>>, timeout = 10_000) {
  await vi.waitFor(
    () => {
      const counters = node.counters()
      const missing = Object.entries(wanted).filter(([name, count]) => !(counters[name]! >= count))
      expect(missing).toEqual([])
    },
    { timeout, interval: 10 },
  )
}

/** Sends until the peer, which echoes, has answered. */
export async function echoed(node: Transport, peer: string, timeout = 10_000): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const token = new TextEncoder().encode(crypto.randomUUID())
  node.onFrame((from, frame) => {
    if (from === peer && Buffer.from(frame).equals(token)) resolve()
  })
  const again = setInterval(() => node.send(peer, token), 10)
  const late = setTimeout(() => reject(new Error(`no echo from ${peer} in ${timeout} ms`)), timeout)
  try {
    await promise
  } finally {
    clearInterval(again)
    clearTimeout(late)
  }
}
