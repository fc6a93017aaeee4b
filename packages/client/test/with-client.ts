import { test } from 'vitest'
import { connect, type Client, type ConnectOptions, type RecordedEvent, type SubscriptionMessage } from '@synod/client'
import { startNodes, type ScriptedNode } from './scripted/scripted-node.ts'

/** What a test starts, so that it ends with it; a fixture, because tests run side by side. */
export class World {
  readonly #nodes: ScriptedNode[] = []
  readonly #clients: Client[] = []

  /** Nodes over one store; the first leads. */
  async nodes(count: number): Promise<[ScriptedNode, ...ScriptedNode[]]> {
    const nodes = await startNodes(count)
    this.#nodes.push(...nodes)
    return nodes as [ScriptedNode, ...ScriptedNode[]]
  }

  client(nodes: readonly ScriptedNode[], options: Partial<ConnectOptions> = {}): Client {
    const client = connect({ nodes: nodes.map(({ url }) => url), ...options })
    this.#clients.push(client)
    return client
  }

  async end(): Promise<void> {
    // Not waited for: a test may leave appends that nobody answers.
    for (const client of this.#clients) void client.close()
    await Promise.all(this.#nodes.map((node) => node.kill()))
  }
}

export const it = test.extend<{ world: World }>({
  world: async ({ onTestFinished }, use) => {
    const world = new World()
    onTestFinished(() => world.end())
    await use(world)
  },
})

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = []
  for await (const item of items) taken.push(item)
  return taken
}

/** Messages until there are so many events. */
export async function takeEvents(messages: AsyncIterable<SubscriptionMessage>, count: number): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const message of messages) {
    if (message.kind === 'event') events.push(message.event)
    if (events.length >= count) break
  }
  return events
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`it was not rejected, but is ${String(value)}`)
    },
    (error: unknown) => error,
  )
}
