import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomInt } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BenchError } from './bench-error.ts'

export type SynodTransport = 'tcp' | 'nats'

export interface SynodProcess {
  /** Of the supervisor: nodes, databases and, with NATS, its server are below it. */
  readonly pid: number
  /** With a folder for each node, in which its `postgres` folder is. */
  readonly data: string
  /** Of the nodes, in their order. */
  readonly urls: readonly string[]
  /** Stops nodes and databases and removes the data. Idempotent. */
  stop(): Promise<void>
}

const main = join(import.meta.dirname, '..', '..', '..', 'apps', 'event-store', 'src', 'main.ts')
const attemptsMax = 5
const stopMillisecondsMax = 45_000
const messageCharactersMax = 4_000

/** `start` as a newcomer runs it, on free ports and with data in a temporary folder. @throws BenchError with what it said */
export async function startSynod(transport: SynodTransport, signal: AbortSignal): Promise<SynodProcess> {
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), 'synod-bench-'))
    // Postgres does not run as root: another user has to pass through.
    chmodSync(folder, 0o711)
    const options = ['--port', String(randomInt(12_000, 19_990)), '--transport', transport]
    const started = await startIn(folder, options, signal)
    if (typeof started !== 'string') return started
    signal.throwIfAborted()
    const isPortTaken = /port \d+ .* in use/.test(started)
    if (!isPortTaken || attempt === attemptsMax) throw new BenchError(`Synod over ${transport} does not start: ${started}`)
  }
}

/** What it said at the end, if it ended instead of getting ready. */
async function startIn(folder: string, options: readonly string[], signal: AbortSignal): Promise<SynodProcess | string> {
  const child = spawn(process.execPath, [main, 'start', ...options], {
    env: { ...process.env, SYNOD_DATA: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-messageCharactersMax)))
  const ended = once(child, 'close')
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => (stopping ??= stopChild(child, ended, folder))
  const interrupt = (): void => void stop()
  signal.addEventListener('abort', interrupt, { once: true })
  const urls = await Promise.race([readyLine(child), ended.then(() => undefined)])
  signal.removeEventListener('abort', interrupt)
  if (urls !== undefined && child.pid !== undefined && !signal.aborted) return { pid: child.pid, data: folder, urls, stop }
  await stop()
  return said
}

function readyLine(child: ChildProcess): Promise<readonly string[]> {
  return new Promise((resolve) => {
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const line = /^ready (.*)\n/m.exec(text)
      if (line !== null) resolve(line[1]?.trim().split(/\s+/) ?? [])
    })
  })
}

async function stopChild(child: ChildProcess, ended: Promise<unknown>, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMillisecondsMax)
  await ended
  clearTimeout(timer)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}
