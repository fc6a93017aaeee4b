/** A node as `synod node` composes it, in this process: metrics, HTTP and the packages that its configuration names. */
import { join } from 'node:path'
import { pino } from 'pino'
import {
  composeNode,
  foundStore,
  MeasuredStore,
  nodeConfigSchema,
  NodeLife,
  NodeMetrics,
  openHttpServer,
  type NodeConfig,
} from '@synod/event-store'
import { parseMetrics, type Family } from './prometheus-text.ts'

export interface OneNode extends AsyncDisposable {
  readonly url: string
  readonly text: () => Promise<string>
  readonly scrape: () => Promise<ReadonlyMap<string, Family>>
}

type Packages = Pick<NodeConfig, 'transport' | 'store' | 'readSide'>

const adapters = join(import.meta.dirname, '../fixtures/memory-adapters.ts')

export function inMemory(disk: string): Packages {
  return {
    transport: { package: adapters, options: {} },
    store: { package: adapters, options: { disk } },
    readSide: { package: adapters, options: {} },
  }
}

export async function openNode(packages: Packages): Promise<OneNode> {
  const config = nodeConfigSchema.parse({
    id: 'n1',
    cluster: 'c'.repeat(32),
    peers: { n1: { address: '127.0.0.1:1', url: 'http://127.0.0.1:1', incarnation: '1'.repeat(32) } },
    http: { port: 1 },
    ...packages,
  })
  await foundStore(config, import.meta.filename)
  const life = new NodeLife(config)
  const metrics = new NodeMetrics(life, { process: true })
  const logger = pino({ level: 'silent' })
  const http = await openHttpServer({ host: '127.0.0.1', port: 0, node: life, limits: config.limits, logger, metrics })
  const failed: Error[] = []
  const node = await composeNode(config, import.meta.filename, {
    onFailure: (error) => failed.push(error),
    warn: () => undefined,
    onBatch: (batch) => metrics.batch(batch),
    onCommit: (commit) => metrics.committed(commit),
  })
  life.started(node.events === undefined ? node : { ...node, events: new MeasuredStore(node.events, metrics) })
  const url = `http://127.0.0.1:${http.port}`
  const text = async (): Promise<string> => (await fetch(`${url}/metrics`)).text()
  return {
    url,
    text,
    scrape: async () => parseMetrics(await text()),
    async [Symbol.asyncDispose]() {
      await http.close()
      await node.close()
      if (failed[0] !== undefined) throw failed[0]
    },
  }
}
