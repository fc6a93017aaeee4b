/**
 * A cluster of real processes for whoever wants to break one: the demo and the end-to-end tests. It runs `synod start` as a
 * process of its own, on free ports and in a data folder of its own, and finds the victims through `GET /cluster`.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterAnswer, type ClusterAnswer, type ClusterNode } from '../http/cluster-answer.ts'
import { requireFree } from './ports.ts'

export interface StartClusterOptions {
  /** Of `start`, for instance `--paxos basic`. `--port` is chosen. */
  readonly arguments?: readonly string[]
  /** A folder that stays; absent: a temporary one, gone with `remove()`. */
  readonly data?: string
  readonly environment?: NodeJS.ProcessEnv
  readonly nodes?: number
  /** Default 120,000. */
  readonly readyMilliseconds?: number
  /** Told every line that `start` prints to standard error. */
  readonly report?: (line: string) => void
}

const pollMilliseconds = 50
const main = join(import.meta.dirname, '..', 'main.ts')

/** Resolves after the line `ready …`. Rejects with what `start` printed when it ends before. */
export async function startCluster(options: StartClusterOptions = {}): Promise<LocalCluster> {
  const cluster = new LocalCluster(options)
  await cluster.start()
  return cluster
}

export class LocalCluster implements AsyncDisposable {
  readonly data: string
  readonly #options: StartClusterOptions
  readonly #temporary: boolean
  #port = 0
  #child: ChildProcess | undefined
  #printed = ''
  #urls: readonly string[] = []

  constructor(options: StartClusterOptions) {
    this.#options = options
    this.#temporary = options.data === undefined
    this.data = options.data ?? mkdtempSync(join(tmpdir(), 'synod-cluster-'))
  }

  /** In the order of n1, n2… */
  get urls(): readonly string[] {
    return this.#urls
  }

  get port(): number {
    return this.#port
  }

  /** Everything `start` printed so far, for messages. */
  get printed(): string {
    return this.#printed
  }

  /** The process id of `start`. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Again after a `stop()` or `killSupervisor()`: at the same ports, with the same data. */
  async start(moreArguments: readonly string[] = []): Promise<void> {
    const nodes = this.#options.nodes ?? 3
    if (this.#port === 0) this.#port = await freeBase(nodes)
    const size = this.#options.nodes === undefined ? [] : ['--nodes', String(nodes)]
    const given = [...(this.#options.arguments ?? []), ...size, ...moreArguments]
    const child = spawn(process.execPath, [main, 'start', '--port', String(this.#port), ...given], {
      env: { ...process.env, ...this.#options.environment, SYNOD_DATA: this.data },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#printed = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#onText(text))
    const line = await new Promise<string>((resolve, reject) => {
      let out = ''
      const timer = setTimeout(() => reject(new Error(`not ready in time:\n${this.#printed}`)), this.#options.readyMilliseconds ?? 120_000)
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text
        const found = /^ready (.*)\n/m.exec(out)
        if (found !== null) {
          clearTimeout(timer)
          resolve(found[1] ?? '')
        }
      })
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        reject(new Error(`start ended with ${code ?? signal}:\n${this.#printed}`))
      })
    })
    this.#urls = line.split(' ')
  }

  /** `GET /cluster` of one node, the first that answers if none is named. */
  async describe(id?: string): Promise<ClusterAnswer> {
    const urls = id === undefined ? this.#urls : [this.url(id)]
    const failures: string[] = []
    for (const url of urls) {
      try {
        const response = await fetch(`${url}/cluster`, { signal: AbortSignal.timeout(2000) })
        return clusterAnswer.parse(await response.json())
      } catch (error) {
        failures.push(`${url}: ${(error as Error).message}`)
      }
    }
    throw new Error(`no node answers: ${failures.join('; ')}`)
  }

  url(id: string): string {
    const url = this.#urls[Number(id.slice(1)) - 1]
    if (url === undefined) throw new RangeError(`there is no node ${id}`)
    return url
  }

  async node(id: string): Promise<ClusterNode> {
    const found = (await this.describe()).nodes.find((node) => node.id === id)
    if (found === undefined) throw new RangeError(`there is no node ${id}`)
    return found
  }

  /** The leader as some node sees it, waited for. */
  async leader(milliseconds = 10_000): Promise<string> {
    return this.until('a leader', milliseconds, async () => (await this.describe()).leader ?? undefined)
  }

  /** Signals a node's process; its id. With SIGKILL it resolves when the process is gone. */
  async kill(id: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
    const { pid } = await this.describe(id).then(({ nodes }) => nodes.find((node) => node.id === id) ?? { pid: null })
    if (pid === null) throw new Error(`node ${id} cannot be reached, so it cannot be killed`)
    process.kill(pid, signal)
    if (signal === 'SIGKILL') await this.until(`the end of process ${pid}`, 5000, () => (isAlive(pid) ? undefined : true))
    return pid
  }

  /** kill -9 of a node's Postgres: the postmaster; its children follow by themselves. */
  async killPostgres(id: string): Promise<number> {
    const pid = Number(readFileSync(join(this.data, id, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0])
    process.kill(pid, 'SIGKILL')
    await this.until(`the end of Postgres ${pid}`, 5000, () => (isAlive(pid) ? undefined : true))
    return pid
  }

  /** kill -9 of the NATS server that `start --transport nats` runs; with another signal, only that is sent. */
  async killNats(signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
    const pid = Number(readFileSync(join(this.data, 'nats', 'nats.pid'), 'utf8'))
    process.kill(pid, signal)
    if (signal === 'SIGKILL') await this.until(`the end of NATS ${pid}`, 5000, () => (isAlive(pid) ? undefined : true))
    return pid
  }

  async isReady(id: string): Promise<boolean> {
    try {
      return (await fetch(`${this.url(id)}/health/ready`, { signal: AbortSignal.timeout(2000) })).ok
    } catch {
      return false // not listening
    }
  }

  async waitReady(ids?: readonly string[], milliseconds = 60_000): Promise<void> {
    for (const id of ids ?? this.#urls.map((_, index) => `n${index + 1}`)) {
      await this.until(`${id} to be ready`, milliseconds, async () => ((await this.isReady(id)) ? true : undefined))
    }
  }

  /** Polls until `look` gives something; says what it waited for if it never does. */
  async until<T>(what: string, milliseconds: number, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
    for (const deadline = performance.now() + milliseconds; ; await sleep(pollMilliseconds)) {
      const found = await Promise.resolve(look()).catch(() => undefined) // a node that is down answers nothing
      if (found !== undefined) return found
      if (performance.now() > deadline) throw new Error(`waited ${milliseconds} ms for ${what}; start printed:\n${this.#printed}`)
    }
  }

  /** TERM to `start`, as an operator would; its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    return ended
  }

  /** kill -9 of `start` itself: nodes end by themselves, the databases stay. */
  async killSupervisor(): Promise<void> {
    await this.stop('SIGKILL')
  }

  /** Stops everything and removes a temporary data folder. */
  async remove(): Promise<void> {
    await this.stop()
    if (this.#temporary) rmSync(this.data, { recursive: true, force: true, maxRetries: 5 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }

  #onText(text: string): void {
    this.#printed += text
    for (const line of text.split('\n')) if (line !== '') this.#options.report?.(line)
  }
}

/** So many free ports in a row, below those that systems take for outgoing connections. */
async function freeBase(nodes: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = 10_000 + Math.floor(Math.random() * 9000)
    const ids = Array.from({ length: nodes }, (_, index) => `n${index + 1}`)
    if (
      await requireFree('127.0.0.1', base, ids).then(
        () => true,
        () => false,
      )
    )
      return base
  }
  throw new Error(`no ${nodes} free ports in a row were found`)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    if (process.platform !== 'linux') return true
    // A killed process that nobody has reaped yet still answers signal 0.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return false
  }
}
