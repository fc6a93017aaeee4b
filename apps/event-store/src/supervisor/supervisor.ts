/**
 * `start`: the nodes of one data folder as processes of their own, each with its Postgres. The order of things is what makes it
 * safe: lock the folder, wait for what a killed predecessor left, look at the ports, found the stores while no node can run,
 * then run the nodes. Whatever fails on the way, all that was started is stopped.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockFolder, ServerError, type PostgresServer } from '@synod/servers'
import { checkPackages, foundStore } from '../compose-node.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { readNodeConfig } from '../config/read-node-config.ts'
import { openClusterFile, writeClusterFile, type ClusterFile, type WantedCluster } from './cluster-file.ts'
import { requireFree, transportPorts } from './ports.ts'
import { StartError } from './start-error.ts'
import { SupervisedNode } from './supervised-node.ts'
import { openTransportPlaces, type TransportPlaces } from './transport-places.ts'
import { waitUntilReady } from './wait-until-ready.ts'

export interface SupervisorOptions extends WantedCluster {
  readonly data: string
  /** Nodes listen here; loopback unless told otherwise. */
  readonly host: string
  /** The first node's, the others follow. */
  readonly port: number
  readonly transport: string
  readonly restarts: boolean
  /** Progress, for people. */
  readonly report: (message: string) => void
}

const leftoverMillisecondsMax = 15_000

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #stopping = new AbortController()
  #lock: { release(): void } | undefined
  #nodes: readonly SupervisedNode[] = []
  #places: TransportPlaces | undefined
  #urls: readonly string[] = []
  #starting: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  get urls(): readonly string[] {
    return this.#urls
  }

  /** Resolves when a quorum is ready, and with it every node that can be, or when it was stopped meanwhile. @throws StartError, ServerError, ConfigError, StoreError */
  start(): Promise<void> {
    this.#starting ??= this.#startAll()
    return this.#starting
  }

  /** All nodes, then all databases and the NATS server. Idempotent; may be called while starting. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #startAll(): Promise<void> {
    const { data, report, host, port } = this.#options
    makeFolder(data)
    this.#lock = lockFolder(join(data, 'start.lock'))
    let file = openClusterFile(data, this.#options)
    // Before anything is written: a mistyped name must not become a cluster.
    await checkPackages({ package: file.protocol, options: file.protocolOptions }, this.#options.transport, join(data, 'cluster.json'))
    const ids = file.nodes.map(({ id }) => id)
    await this.#waitForLeftovers(ids)
    await requireFree(host, port, ids)
    this.#urls = ids.map((_, index) => `http://${inUrl(host)}:${port + index}`)
    const reserved = ids.map((_, index) => port + index)
    const ports = await transportPorts(
      host,
      file.nodes.map((node) => node.transportPort),
      reserved,
    )
    file = { ...file, nodes: file.nodes.map((node, index) => ({ ...node, transportPort: ports[index] ?? 0 })) }
    report(`data in ${data}`)
    const { transport, restarts } = this.#options
    const environment = process.env
    const places = await openTransportPlaces({ transport, file, data, host: inUrl(host), reserved, restarts, report, environment })
    this.#places = places
    writeClusterFile(data, file)
    this.#nodes = ids.map((id, index) => this.#node(file, places, id, index))
    if (this.#stopping.signal.aborted) return
    report(`starting Postgres for ${ids.join(', ')}`)
    const databases = await Promise.all(this.#nodes.map((node) => node.database()))
    if (this.#stopping.signal.aborted) return
    if (file.state === 'founding') file = await this.#found(file, places, databases)
    if (this.#stopping.signal.aborted) return
    report(`starting nodes ${ids.join(', ')}`)
    for (const node of this.#nodes) node.run()
    await this.#waitReady()
  }

  #node(file: ClusterFile, places: TransportPlaces, id: string, index: number): SupervisedNode {
    const { data, report, restarts } = this.#options
    const folder = join(data, id)
    const configure = (postgres: PostgresServer): string => this.#writeConfig(file, places, id, index, postgres)
    return new SupervisedNode({ id, folder, restarts, report, configure })
  }

  /** While this runs no node does, and a crash in the middle does it again: the same record into a store that has it is nothing. */
  async #found(file: ClusterFile, places: TransportPlaces, databases: readonly PostgresServer[]): Promise<ClusterFile> {
    this.#options.report(`founding cluster ${file.cluster}`)
    await Promise.all(
      databases.map((postgres, index) => {
        const path = this.#writeConfig(file, places, file.nodes[index]?.id ?? '', index, postgres)
        return foundStore(readNodeConfig(path), path)
      }),
    )
    const founded: ClusterFile = { ...file, state: 'founded' }
    writeClusterFile(this.#options.data, founded)
    return founded
  }

  #writeConfig(file: ClusterFile, places: TransportPlaces, id: string, index: number, postgres: PostgresServer): string {
    const { host, port, transport, data } = this.#options
    const peers = file.nodes.map((node, at) => [
      node.id,
      { address: places.addressOf(node), url: this.#urls[at] ?? '', incarnation: node.incarnation },
    ])
    const config: Omit<NodeConfig, 'limits'> = {
      id,
      cluster: file.cluster,
      peers: Object.fromEntries(peers),
      http: { host, port: port + index },
      consensus: { package: file.protocol, options: file.protocolOptions },
      transport: { package: transport, options: { ...places.options } },
      store: { package: '@synod/log-postgres', options: { connectionString: postgres.connectionString } },
      readSide: { package: '@synod/events-postgres', options: { connectionString: postgres.connectionString } },
    }
    const path = join(data, id, 'config.json')
    // It holds a password. Made anew at every start of the node: not to be edited.
    writeFileSync(path, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 })
    return path
  }

  /** Nodes whose supervisor was killed stop by themselves; until then they hold their locks and ports. */
  async #waitForLeftovers(ids: readonly string[]): Promise<void> {
    const deadline = performance.now() + leftoverMillisecondsMax
    for (const id of ids) {
      const file = join(this.#options.data, id, 'node.lock')
      while (existsSync(file)) {
        try {
          lockFolder(file).release()
        } catch (error) {
          if (!(error instanceof ServerError) || performance.now() > deadline) {
            throw new StartError(`a node of an earlier start still runs: ${(error as Error).message}`, { cause: error })
          }
          await sleep(50)
        }
      }
    }
  }

  async #waitReady(): Promise<void> {
    const nodes = this.#nodes.map((node, index) => ({
      id: node.id,
      url: this.#urls[index] ?? '',
      get over() {
        return node.over
      },
    }))
    await waitUntilReady({ nodes, signal: this.#stopping.signal, report: this.#options.report })
    if (this.#nodes.every(({ over }) => over !== undefined)) throw new StartError('no node runs: what is above says why')
  }

  async #stopAll(): Promise<void> {
    this.#stopping.abort()
    // A failure to start is reported by whoever called `start`.
    await this.#starting?.catch(() => undefined)
    await Promise.all(this.#nodes.map((node) => node.stopProcess()))
    await Promise.all([...this.#nodes.map((node) => node.stopDatabase()), this.#places?.stop()])
    this.#lock?.release()
  }
}

function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const what = code === 'EEXIST' || code === 'ENOTDIR' ? 'is no folder, or lies below a file' : `cannot be made (${code})`
    throw new StartError(`the data folder ${path} ${what}: name another one with SYNOD_DATA`, { cause })
  }
}
