/**
 * The process of one node: listens first, so that it can say what it is doing; then opens store, transport, log and event store;
 * ends by a signal, by the end of its supervisor, or because it failed. The exit code says whether starting it again makes sense.
 */
import { lockFolder, ServerError } from '@synod/servers'
import { ReadSideError } from '@synod/events'
import { LogError, StoreError } from '@synod/log'
import { TransportError } from '@synod/transport'
import type { Logger } from 'pino'
import { composeNode, type ComposedNode } from '../compose-node.ts'
import { ConfigError } from '../config/config-error.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { readNodeConfig } from '../config/read-node-config.ts'
import { exitCodes } from '../exit-codes.ts'
import { openHttpServer, type HttpServer } from '../http/http-server.ts'
import { openLogger } from './logger.ts'
import { NodeLife } from './node-life.ts'

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

/** Runs until the node ends; the process' exit code. */
export async function runNode(options: RunNodeOptions): Promise<number> {
  const logger = openLogger()
  const ending = new Ending(logger)
  let config: NodeConfig
  let lock: { release(): void } | undefined
  try {
    config = readNodeConfig(options.configFile, { environment: process.env, httpHost: options.httpHost, httpPort: options.httpPort })
    lock = options.lock === undefined ? undefined : lockFolder(options.lock)
  } catch (error) {
    return ending.refuse(error as Error)
  }
  const life = new NodeLife(config)
  const stack: { http?: HttpServer; node?: ComposedNode } = {}
  try {
    stack.http = await openHttpServer({ ...config.http, node: life, limits: config.limits, logger })
    logger.info({ node: config.id, cluster: config.cluster, port: stack.http.port }, 'listening')
    stack.node = await composeNode(config, options.configFile, {
      onFailure: (error) => ending.fail(error),
      warn: (message) => logger.warn(message),
    })
    life.started(stack.node)
    logger.info({ node: config.id, state: life.status().state, why: life.status().why }, 'started')
    stack.node.onStatus(logChanges(life, logger))
    await ending.requested
  } catch (error) {
    ending.fail(explain(error as Error, config))
  }
  const code = await ending.code()
  if (code === exitCodes.ok) await stop(life, stack, logger)
  else await sayToSupervisor(ending.failure?.message ?? 'failed')
  lock?.release()
  return code
}

/** Why this process ends: the first reason counts. */
class Ending {
  readonly requested: Promise<void>
  failure: Error | undefined
  readonly #logger: Logger
  readonly #resolve: () => void

  constructor(logger: Logger) {
    this.#logger = logger
    const { promise, resolve } = Promise.withResolvers<void>()
    this.requested = promise
    this.#resolve = resolve
    // Both come once or twice (a terminal and a supervisor may each send one): one is enough.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => this.#resolve())
    if (process.send !== undefined) process.once('disconnect', () => this.#resolve())
    process.on('uncaughtException', (error) => this.fail(error))
    process.on('unhandledRejection', (error) => this.fail(error instanceof Error ? error : new Error(String(error))))
  }

  fail(error: Error): void {
    if (this.failure !== undefined) return
    this.failure = error
    this.#logger.fatal({ err: error }, error.message)
    this.#resolve()
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

function logChanges(life: NodeLife, logger: Logger): () => void {
  let last = ''
  return () => {
    const { state, role, leader, why, decidedSlot, appliedSlot } = life.status()
    const now = `${state} ${role} ${leader}`
    if (now === last) return
    last = now
    logger.info({ state, role, leader, why, decidedSlot, appliedSlot }, 'status')
  }
}

async function stop(life: NodeLife, { http, node }: { http?: HttpServer; node?: ComposedNode }, logger: Logger): Promise<void> {
  logger.info('stopping')
  const cut = setTimeout(() => {
    logger.error('the shutdown takes too long and is cut short')
    process.exit(exitCodes.ok)
  }, stopMillisecondsMax)
  life.stopping()
  // Another node orders before this one goes; requests under way are answered meanwhile.
  const stepped = node?.stepDown().catch((error: Error) => logger.warn({ err: error }, 'no other node took over'))
  await Promise.race([stepped, new Promise((resolve) => setTimeout(resolve, stepDownMillisecondsMax).unref())])
  await http?.close()
  await node?.close()
  clearTimeout(cut)
  logger.info('stopped')
}

function sayToSupervisor(message: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve()
    process.send({ failed: message }, undefined, undefined, () => resolve())
  })
}
