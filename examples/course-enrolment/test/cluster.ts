/** Three real nodes: `start` as a process of its own, on free ports, with temporary data. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Cluster {
  readonly urls: readonly string[]
  /** kill -9 of the node that leads; it is started again by `start`. */
  killLeader(): Promise<void>
  remove(): Promise<void>
}

const main = join(import.meta.dirname, '..', '..', '..', 'apps', 'event-store', 'src', 'main.ts')
const attemptsMax = 5

export async function startCluster(): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    const started = await startAt(10_000 + Math.floor(Math.random() * 9_000))
    if (typeof started !== 'string') return started
    // Somebody may have the ports: others are tried.
    if (attempt === attemptsMax) throw new Error(`no cluster after ${attempt} attempts: ${started}`)
  }
}

/** What it said, if it did not start. */
async function startAt(port: number): Promise<Cluster | string> {
  const data = mkdtempSync(join(tmpdir(), 'synod-example-'))
  chmodSync(data, 0o711) // Postgres does not run as root: another user has to pass through
  const child = spawn(process.execPath, [main, 'start', '--port', String(port)], {
    env: { ...process.env, SYNOD_DATA: data },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(child, 'close')
  const remove = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
    rmSync(data, { recursive: true, force: true, maxRetries: 5 })
  }
  const urls = await Promise.race([readyUrls(child), ended.then(() => undefined)])
  if (urls === undefined) {
    rmSync(data, { recursive: true, force: true })
    return said
  }
  return { urls, remove, killLeader: () => killLeader(urls) }
}

function readyUrls(child: ChildProcess): Promise<readonly string[]> {
  return new Promise((resolve) => {
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const line = /^ready (.*)\n/m.exec(text)
      if (line !== null) resolve(line[1]?.split(' ') ?? [])
    })
  })
}

async function killLeader(urls: readonly string[]): Promise<void> {
  for (;;) {
    const cluster = (await (await fetch(`${urls[0]}/cluster`)).json()) as {
      leader: string | null
      nodes: { id: string; pid: number | null }[]
    }
    const pid = cluster.nodes.find(({ id }) => id === cluster.leader)?.pid
    if (typeof pid === 'number') return void process.kill(pid, 'SIGKILL')
    await sleep(50) // no leader yet
  }
}
