/**
 * What a node's configuration says of its transport: where each node is, in the transport's own form, and its options. TCP and
 * packages of others get `host:port`; NATS gets servers and a subject, which holds the cluster's id, so that clusters at one
 * server never hear each other.
 */
import { join } from 'node:path'
import type { ClusterFile } from './cluster-file.ts'
import { parseNatsUrl, requireNats } from './nats-url.ts'
import { transportPorts } from './ports.ts'
import { SupervisedNats } from './supervised-nats.ts'

export interface TransportPlaces {
  readonly options: Readonly<Record<string, unknown>>
  addressOf(node: ClusterFile['nodes'][number]): string
  /** After the nodes: what was started for them. */
  stop(): Promise<void>
}

export interface OpenPlacesOptions {
  readonly transport: string
  readonly file: ClusterFile
  readonly data: string
  /** Where nodes listen, as it stands in a URL. */
  readonly host: string
  readonly reserved: readonly number[]
  readonly restarts: boolean
  readonly report: (message: string) => void
  readonly environment: NodeJS.ProcessEnv
}

const natsPackage = '@synod/transport-nats'

/** Starts a NATS server, or makes sure of the one in `NATS_URL`, where the transport wants one. @throws StartError, ServerError */
export async function openTransportPlaces(options: OpenPlacesOptions): Promise<TransportPlaces> {
  const { transport, file, host, environment } = options
  if (transport !== natsPackage) return { options: {}, addressOf: (node) => `${host}:${node.transportPort}`, stop: () => Promise.resolve() }
  const address = (servers: readonly string[], id: string): string => `nats://${servers.join(',')}/synod.${file.cluster}.${id}`
  if (environment.NATS_URL) {
    const given = parseNatsUrl(environment.NATS_URL)
    await requireNats(given)
    options.report(`NATS at ${given.servers.join(', ')} (NATS_URL)`)
    return { options: given.options, addressOf: ({ id }) => address(given.servers, id), stop: () => Promise.resolve() }
  }
  const own = await startOwn(options)
  return { options: {}, addressOf: ({ id }) => address([`127.0.0.1:${own.port}`], id), stop: () => own.nats.stop() }
}

async function startOwn({ data, restarts, report, file, reserved }: OpenPlacesOptions): Promise<{ nats: SupervisedNats; port: number }> {
  report('starting NATS')
  const taken = [...reserved, ...file.nodes.map(({ transportPort }) => transportPort)]
  const [port = 0] = await transportPorts('127.0.0.1', [0], taken)
  const nats = new SupervisedNats({ folder: join(data, 'nats'), port, restarts, report })
  await nats.start()
  return { nats, port }
}
