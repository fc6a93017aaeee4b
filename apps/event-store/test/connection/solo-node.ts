/** A whole node in one process, of which only the disk and the wire are memory. */
import { join } from 'node:path'
import { pino } from 'pino'
import { composeNode, foundStore, nodeConfigSchema, NodeLife, openHttpServer, type HttpLimits, type HttpServer } from '@synod/event-store'
import { waitUntilServing } from './wait-until-serving.ts'

const adapters = join(import.meta.dirname, '../fixtures/memory-adapters.ts')
const solo = join(import.meta.dirname, '../fixtures/solo-loglet.ts')
let nodes = 0

export interface SoloNode extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly life: NodeLife
  readonly http: HttpServer
  close(): Promise<void>
}

export async function openSoloNode(limits: Partial<HttpLimits> = {}): Promise<SoloNode> {
  const disk = `connection ${process.pid} ${++nodes}`
  const config = nodeConfigSchema.parse({
    id: 'n1',
    cluster: 'c'.repeat(32),
    peers: { n1: { address: disk, url: 'http://127.0.0.1:1', incarnation: '1'.repeat(32) } },
    http: { port: 1 },
    consensus: { package: solo, options: {} },
    transport: { package: adapters },
    store: { package: adapters, options: { disk } },
    readSide: { package: adapters },
    limits,
  })
  await foundStore(config, import.meta.filename)
  const life = new NodeLife(config)
  const http = await openHttpServer({
    host: '127.0.0.1',
    port: 0,
    node: life,
    limits: config.limits,
    logger: pino({ level: 'silent' }),
  })
  let failure: Error | undefined
  const node = await composeNode(config, import.meta.filename, { onFailure: (error) => (failure = error), warn: () => undefined })
  life.started(node)
  const close = async (): Promise<void> => {
    await http.close()
    await node.close()
    if (failure !== undefined) throw failure
  }
  await waitUntilServing(life)
  return { url: `http://127.0.0.1:${http.port}`, port: http.port, life, http, close, [Symbol.asyncDispose]: close }
}
