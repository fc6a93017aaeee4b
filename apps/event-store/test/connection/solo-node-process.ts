/** A solo node in a process of its own, so that its memory is its own: says its port, and what it holds whenever it is asked. Takes limits as JSON. */
import type { HttpLimits } from '@synod/event-store'
import { openSoloNode } from './solo-node.ts'

export interface NodeMemory {
  readonly rss: number
  readonly connections: Readonly<Record<string, number>>
}

const node = await openSoloNode(JSON.parse(process.argv[2] ?? '{}') as Partial<HttpLimits>)
process.on('message', () => process.send?.({ rss: process.memoryUsage.rss(), connections: node.http.connections() } satisfies NodeMemory))
process.once('disconnect', () => void node.close().finally(() => process.exit()))
process.send?.({ port: node.port })
