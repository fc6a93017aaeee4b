/**
 * One node of `start`: a Postgres server and the node's process, kept alive. The database goes first, both ways: it is made sure
 * of before the process is started, and stopped after the process has ended. The process holds a channel to this one and stops
 * by itself when that closes, so that a killed supervisor leaves no node behind; its Postgres stays, and the next start takes over.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type PostgresServer } from '@synod/servers'
import { exitCodes } from '../exit-codes.ts'
import { configVariables } from '../config/read-node-config.ts'
import { RestartPause } from './restart-pause.ts'

export interface SupervisedNodeOptions {
  readonly id: string
  /** `<data>/<node id>`. */
  readonly folder: string
  /** Writes the configuration, now that the database's address is known; returns its path. */
  readonly configure: (postgres: PostgresServer) => string
  readonly restarts: boolean
  readonly report: (message: string) => void
}

const restartMilliseconds = 1000
/** A node that keeps failing by itself soon after its start is started less often. */
const restartMillisecondsMax = 10_000
const failedSoonMilliseconds = 5000
const stopMillisecondsMax = 12_000
const logBytesMax = 16 * 1024 * 1024
const main = join(import.meta.dirname, '..', 'main.ts')
const cloneRoot = join(import.meta.dirname, '..', '..', '..', '..')

export class SupervisedNode {
  readonly id: string
  readonly #options: SupervisedNodeOptions
  readonly #stopping = new AbortController()
  #postgres: PostgresServer | undefined
  #postgresStarting: Promise<PostgresServer> | undefined
  #child: ChildProcess | undefined
  #running: Promise<void> | undefined
  /** Set when the process will not be started again. */
  #over: string | undefined

  constructor(options: SupervisedNodeOptions) {
    this.id = options.id
    this.#options = options
    mkdirSync(options.folder, { recursive: true, mode: 0o755 })
  }

  /** Why the process is down for good; undefined while it is up or will be started again. */
  get over(): string | undefined {
    return this.#over
  }

  /** The running database, started if need be. */
  database(): Promise<PostgresServer> {
    this.#postgresStarting ??= this.#startPostgres()
    return this.#postgresStarting
  }

  /** Runs the node's process from now on. */
  run(): void {
    this.#running ??= this.#keepRunning()
  }

  /** The process first, gracefully, then the database. Idempotent. */
  async stopProcess(): Promise<void> {
    this.#stopping.abort()
    const child = this.#child
    if (child !== undefined && isAlive(child)) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMillisecondsMax)
      await this.#running
      clearTimeout(timer)
    }
    await this.#running
  }

  async stopDatabase(): Promise<void> {
    // A start that failed has left nothing to stop, and was reported by whoever asked for it.
    await this.#postgresStarting?.catch(() => undefined)
    await this.#postgres?.stop('fast')
  }

  async #startPostgres(): Promise<PostgresServer> {
    try {
      const postgres = await startPostgres({ dataDir: join(this.#options.folder, 'postgres') })
      this.#postgres = postgres
      void postgres.exited.then(() => this.#onPostgresExit())
      return postgres
    } catch (error) {
      this.#postgresStarting = undefined
      throw error
    }
  }

  /** A node may get over a short absence of its database by itself; if not, it ends and is started again. */
  #onPostgresExit(): void {
    this.#postgresStarting = undefined
    if (this.#stopping.signal.aborted || !this.#options.restarts || this.#running === undefined) return
    this.#options.report(`${this.id}: its Postgres has ended, starting it again`)
    this.database().catch((error: Error) => this.#options.report(`${this.id}: its Postgres does not start: ${error.message}`))
  }

  async #keepRunning(): Promise<void> {
    const restart = new RestartPause({
      millisecondsMin: restartMilliseconds,
      millisecondsMax: restartMillisecondsMax,
      signal: this.#stopping.signal,
    })
    while (!this.#stopping.signal.aborted) {
      const startedAt = performance.now()
      const ended = await this.#runOnce()
      if (this.#stopping.signal.aborted) return
      if (!this.#options.restarts || ended.code === exitCodes.nodeRefused) {
        this.#over = ended.why
        this.#options.report(`${this.id}: ${ended.why}; it is not started again`)
        return
      }
      const failedSoon = ended.code !== undefined && performance.now() - startedAt < failedSoonMilliseconds
      const wait = restart.next(failedSoon)
      this.#options.report(`${this.id}: ${ended.why}; started again in ${wait / 1000} s`)
      await restart.wait()
    }
  }

  /** Until the process has ended; `code` is absent when it was killed. */
  async #runOnce(): Promise<{ readonly code?: number; readonly why: string }> {
    let config: string
    try {
      config = this.#options.configure(await this.database())
    } catch (error) {
      return { code: exitCodes.failure, why: `its Postgres does not start: ${(error as Error).message}` }
    }
    if (this.#stopping.signal.aborted) return { why: 'stopped' }
    return new Promise((resolve) => {
      let said: string | undefined
      const child = this.#spawn(config)
      this.#child = child
      child.on('message', (message) => (said = (message as { failed?: string }).failed))
      child.once('error', (error) => resolve({ code: exitCodes.failure, why: `cannot be started: ${error.message}` }))
      child.once('exit', (code, signal) => {
        const how = code === null ? `was killed by ${signal}` : `ended with ${code}`
        resolve({ ...(code !== null && { code }), why: said === undefined ? `${how} (its log: ${this.#logFile})` : `${how}: ${said}` })
      })
    })
  }

  get #logFile(): string {
    return join(this.#options.folder, 'node.log')
  }

  #spawn(config: string): ChildProcess {
    const logFile = this.#logFile
    if (existsSync(logFile) && statSync(logFile).size > logBytesMax) renameSync(logFile, `${logFile}.1`)
    const log = openSync(logFile, 'a', 0o600)
    // What is meant for one node must not steer all of them.
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => configVariables[name] === undefined))
    const child = spawn(process.execPath, [main, 'node', '--config', config, '--lock', join(this.#options.folder, 'node.lock')], {
      cwd: cloneRoot,
      env: environment,
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    return child
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
