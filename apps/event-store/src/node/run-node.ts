/**
 * The process of one node: listens first, so that it can say what it is doing; then opens store, transport, log and event store;
 * ends by a signal, by the end of its supervisor, or because it failed. The exit code says whether starting it again makes sense.
 */
import { lockFolder, ServerError } from '@synod/servers'
import { ReadSideError } from '@synod/events'
import { LogError, StoreError } from '@synod/log'
import { TransportError } from '@synod/transport'
import { composeNode, type ComposedNode } from '../compose-node.ts'
import { ConfigError } from '../config/config-error.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { readNodeConfig } from '../config/read-node-config.ts'
import { exitCodes } from '../exit-codes.ts'
import { openHttpServer, type HttpServer } from '../http/http-server.ts'
import { MeasuredStore } from '../metrics/measured-store.ts'
import { NodeMetrics } from '../metrics/node-metrics.ts'
import { openLogger } from './logger.ts'
import { NodeLife } from './node-life.ts'
import { NodeLog } from './node-log.ts'
import { SlowCommits } from './slow-commits.ts'
import { StatusWatch } from './status-watch.ts'

export interface RunNodeOptions {
  readonly configFile: string
  readonly httpHost?: string | undefined
  readonly httpPort?: number | undefined
  /** Held while the process lives: a second one refuses to start. */
  readonly lock?: string | undefined
}

/** A shutdown that takes longer is cut short: whatever is durable is durable. */
const stopMillisecondsMax = 9_000
const stepDownMillisecondsMax = 1_500

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/

interface Stack {
  http?: HttpServer
  node?: ComposedNode
}

/** Runs until the node ends; the process' exit code. */
export async function runNode(options: RunNodeOptions): Promise<number> {
  const log = new NodeLog(openLogger())
  const ending = new Ending(log)
  let config: NodeConfig
  let lock: { release(): void } | undefined
  try {
    config = readNodeConfig(options.configFile, { environment: process.env, httpHost: options.httpHost, httpPort: options.httpPort })
    lock = options.lock === undefined ? undefined : lockFolder(options.lock)
  } catch (error) {
    return ending.refuse(error as Error)
  }
  log.name(config.id)
  const life = new NodeLife(config)
  const stack: Stack = {}
  try {
    await open(config, options.configFile, life, stack, log, ending)
    await ending.requested
  } catch (error) {
    ending.fail(explain(error as Error, config))
  }
  const code = await ending.code()
  if (code === exitCodes.ok) await stop(life, stack, log, await ending.requested)
  else await sayToSupervisor(ending.failure?.message ?? 'failed')
  lock?.release()
  return code
}

async function open(config: NodeConfig, configFile: string, life: NodeLife, stack: Stack, log: NodeLog, ending: Ending): Promise<void> {
  const { id, cluster, http, limits } = config
  const nodes = Object.keys(config.peers).length
  log.tell('starting', { config: configFile, cluster, nodes, runtime: process.version }, `node ${id} of ${nodes} starts`)
  if (nodes % 2 === 0)
    log.tell('clusterSize', { nodes }, `${nodes} nodes tolerate the loss of no more than ${nodes - 1} do: use an odd number`)
  if (!loopback.test(http.host))
    log.tell('exposed', { host: http.host }, `HTTP at ${http.host} can be reached from elsewhere, and nobody is asked who they are`)
  const metrics = new NodeMetrics(life, { process: true })
  // What it says of itself at `info` is said here, with an event's name.
  const logger = log.logger.child({}, log.logger.level === 'info' ? { level: 'warn' } : {})
  stack.http = await openHttpServer({ ...http, node: life, limits, logger, metrics })
  log.tell('listening', { host: http.host, port: stack.http.port }, `HTTP at ${http.host}:${stack.http.port}`)
  const watch = new StatusWatch({ id, status: () => life.status(), log, onLeaderChange: () => metrics.leaderChanged() })
  const slow = new SlowCommits(log)
  const node = await composeNode(config, configFile, {
    onFailure: (error) => ending.fail(error),
    warn: (message, from) => log.tell(from === 'store' ? 'storeWarning' : 'transportWarning', {}, message),
    onLink: (peer, state) =>
      state === 'up' ? log.tell('peerConnected', { peer }, `reaches ${peer}`) : log.tell('peerLost', { peer }, `no longer reaches ${peer}`),
    onBatch: (batch) => metrics.batch(batch),
    onCommit: (commit) => {
      metrics.committed(commit)
      slow.committed(commit)
    },
  })
  stack.node = node
  life.started(node.events === undefined ? node : { ...node, events: new MeasuredStore(node.events, metrics) })
  const { state, appliedSlot, position } = life.status()
  log.tell('opened', { state, appliedSlot, position }, `its store is open at slot ${appliedSlot}`)
  node.onStatus(() => watch.look())
  watch.start()
}

/** Why this process ends: the first reason counts. */
class Ending {
  /** In a word, for people. */
  readonly requested: Promise<string>
  failure: Error | undefined
  readonly #log: NodeLog
  readonly #resolve: (why: string) => void

  constructor(log: NodeLog) {
    this.#log = log
    const { promise, resolve } = Promise.withResolvers<string>()
    this.requested = promise
    this.#resolve = resolve
    // Both come once or twice (a terminal and a supervisor may each send one): one is enough.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => this.#resolve(signal))
    if (process.send !== undefined) process.once('disconnect', () => this.#resolve('its supervisor has ended'))
    process.on('uncaughtException', (error) => this.fail(error))
    process.on('unhandledRejection', (error) => this.fail(error instanceof Error ? error : new Error(String(error))))
  }

  fail(error: Error): void {
    if (this.failure !== undefined) return
    this.failure = error
    const { code } = error as { code?: unknown }
    this.#log.tell('failed', { code: typeof code === 'string' ? code : 'internal', err: error }, error.message)
    this.#resolve('it failed')
  }

  async refuse(error: Error): Promise<number> {
    this.fail(error)
    process.stderr.write(`${error.message}\n`)
    await sayToSupervisor(error.message)
    return exitCodeOf(error)
  }

  async code(): Promise<number> {
    await this.requested
    return this.failure === undefined ? exitCodes.ok : exitCodeOf(this.failure)
  }
}

const refusals = new Set([
  'unsafe_settings',
  'invalid_configuration',
  'invalid_options',
  'already_founded',
  'other_settings',
  'unknown_version',
])

function exitCodeOf(error: Error): number {
  if (error instanceof ConfigError) return exitCodes.nodeRefused
  if (
    (error instanceof StoreError || error instanceof LogError || error instanceof TransportError || error instanceof ReadSideError) &&
    refusals.has(error.code)
  ) {
    return exitCodes.nodeRefused
  }
  const { code } = error as NodeJS.ErrnoException
  return error instanceof ServerError || code === 'EADDRINUSE' || code === 'EACCES' ? exitCodes.failure : exitCodes.nodeFailed
}

function explain(error: Error, config: NodeConfig): Error {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error
  const { host, port } = config.http
  const message = `port ${port} at ${host} is in use by another process: stop that one, or choose another with http.port, SYNOD_HTTP_PORT or --http-port`
  return Object.assign(new Error(message, { cause: error }), { code: 'EADDRINUSE' })
}

async function stop(life: NodeLife, { http, node }: Stack, log: NodeLog, why: string): Promise<void> {
  const begun = performance.now()
  const elapsed = (): number => Math.round(performance.now() - begun)
  log.tell('stopping', { why }, `stops: ${why}`)
  const cut = setTimeout(() => {
    log.tell('stopCut', { milliseconds: elapsed() }, 'the shutdown takes too long and is cut short: what is acknowledged is durable')
    process.exit(exitCodes.ok)
  }, stopMillisecondsMax)
  life.stopping()
  // Another node orders before this one goes; requests under way are answered meanwhile.
  if (node !== undefined && life.status().role === 'leader') await handOver(life, node, log, elapsed)
  await http?.close()
  await node?.close()
  clearTimeout(cut)
  log.tell('stopped', { milliseconds: elapsed() }, 'stopped')
}

async function handOver(life: NodeLife, node: ComposedNode, log: NodeLog, elapsed: () => number): Promise<void> {
  log.tell('steppingDown', {}, 'asks another node to lead')
  const stepped = node.stepDown().catch((error: Error) => log.logger.warn({ err: error }, 'stepping down failed'))
  await Promise.race([stepped, new Promise((resolve) => setTimeout(resolve, stepDownMillisecondsMax).unref())])
  const { leader } = life.status()
  const milliseconds = elapsed()
  if (leader === null || leader === life.id)
    log.tell('leadershipKept', { milliseconds }, 'no other node has taken over: the others will elect one')
  else log.tell('steppedDown', { leader, milliseconds }, `${leader} leads now`)
}

function sayToSupervisor(message: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve()
    process.send({ failed: message }, undefined, undefined, () => resolve())
  })
}
