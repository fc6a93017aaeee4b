/**
 * Three machines as docs/operating.md sets them up, here on one: config files by hand from `deploy/config/n1.json`, passwords in
 * the environment, `synod init` once, then `synod node`, whose log is read line by line.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, testDatabase } from '@synod/servers'

export type LogLine = Readonly<Record<string, unknown>> & { readonly event?: string; readonly level: string; readonly msg: string }

interface NodeFile {
  id: string
  peers: Record<string, { address: string; url: string; incarnation: string }>
  http: { host: string; port: number }
}

export const root = join(import.meta.dirname, '../../../..')
const main = join(import.meta.dirname, '../../src/main.ts')
const ids = ['n1', 'n2', 'n3'] as const

export class ThreeMachines implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'synod-machines-'))
  readonly #environments = new Map<string, NodeJS.ProcessEnv>()
  readonly #processes = new Map<string, ChildProcess>()
  readonly #logs = new Map<string, LogLine[]>()
  #template = JSON.parse(readFileSync(join(root, 'deploy/config/n1.json'), 'utf8')) as NodeFile

  /** Databases and config files are there; nothing is founded yet. */
  static async prepare(database: () => Promise<{ readonly connectionString: string }> = testDatabase): Promise<ThreeMachines> {
    const machines = new ThreeMachines()
    for (const id of ids) {
      const { connectionString } = await database()
      const options = JSON.stringify({ connectionString })
      machines.#environments.set(id, { ...process.env, SYNOD_STORE_OPTIONS: options, SYNOD_READ_SIDE_OPTIONS: options })
      machines.#template.peers[id] = { ...machines.#peer(id), url: `http://127.0.0.1:${await freePort()}` }
      await machines.move(id)
    }
    return machines
  }

  get ids(): readonly string[] {
    return ids
  }

  url(id: string): string {
    return this.#peer(id).url
  }

  /** Everything that the node logged, over all its lives. */
  log(id: string): readonly LogLine[] {
    return this.#logs.get(id) ?? []
  }

  /** Gives a node another address and corrects every machine's file; a running node notices at its next start. */
  async move(id: string): Promise<void> {
    this.#peer(id).address = `127.0.0.1:${await freePort()}`
    for (const machine of ids) {
      const http = { host: '127.0.0.1', port: Number(new URL(this.url(machine)).port) }
      writeFileSync(this.#file(machine), JSON.stringify({ ...this.#template, id: machine, http }))
    }
  }

  /** What `synod init` prints and the code that it ends with. */
  async init(id: string): Promise<{ readonly printed: string; readonly code: number | null }> {
    const child = this.#run(id, ['init', '--config', this.#file(id)])
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (printed += text))
    const [code] = (await once(child, 'close')) as [number | null]
    return { printed, code }
  }

  start(id: string): void {
    const child = this.#run(id, ['node', '--config', this.#file(id), '--lock', join(this.#folder, `${id}.lock`)])
    this.#processes.set(id, child)
    const log = this.#logs.get(id) ?? []
    this.#logs.set(id, log)
    if (child.stderr === null) throw new Error('a node without a standard error')
    createInterface(child.stderr).on('line', (line) => log.push(JSON.parse(line) as LogLine))
  }

  /** The exit code; null when it was killed. */
  async stop(id: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#processes.get(id)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const closed = once(child, 'close') as Promise<[number | null]>
    child.kill(signal)
    return (await closed)[0]
  }

  /** The exit code of a node that ends by itself. */
  async ended(id: string): Promise<number | null> {
    const child = this.#processes.get(id)
    if (child === undefined) throw new RangeError(`${id} was not started`)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    return child.exitCode
  }

  async ready(...wanted: readonly string[]): Promise<void> {
    for (const id of wanted) await this.until(`${id} to be ready`, () => fetch(`${this.url(id)}/health/ready`).then(({ ok }) => ok))
  }

  async leader(): Promise<string> {
    for (const deadline = performance.now() + 20_000; performance.now() < deadline; await sleep(20)) {
      for (const id of ids) {
        const answer = await fetch(`${this.url(id)}/cluster`).catch(() => undefined)
        const { leader } = ((await answer?.json()) ?? {}) as { leader?: string | null }
        if (typeof leader === 'string') return leader
      }
    }
    throw new Error('no leader in 20 s')
  }

  /** A node's line of `GET /cluster`, as another one sees it. */
  async seen(id: string, by: string): Promise<{ readonly state: string; readonly appliedSlot: number; readonly decidedSlot: number }> {
    const { nodes } = (await (await fetch(`${this.url(by)}/cluster`)).json()) as {
      nodes: { id: string; state: string; appliedSlot: number; decidedSlot: number }[]
    }
    const line = nodes.find((node) => node.id === id)
    if (line === undefined) throw new Error(`${by} does not know ${id}`)
    return line
  }

  async until(what: string, is: () => boolean | Promise<boolean>, milliseconds = 30_000): Promise<void> {
    for (const deadline = performance.now() + milliseconds; ; await sleep(20)) {
      if (await Promise.resolve(is()).catch(() => false)) return
      if (performance.now() > deadline) throw new Error(`waited ${milliseconds} ms for ${what}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(ids.map((id) => this.stop(id)))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #peer(id: string): NodeFile['peers'][string] {
    const peer = this.#template.peers[id]
    if (peer === undefined) throw new RangeError(`there is no node ${id}`)
    return peer
  }

  #file(id: string): string {
    return join(this.#folder, `${id}.json`)
  }

  #run(id: string, given: readonly string[]): ChildProcess {
    return spawn(process.execPath, [main, ...given], { env: this.#environments.get(id), stdio: ['ignore', 'pipe', 'pipe'] })
  }
}
