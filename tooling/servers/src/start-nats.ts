import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findNats } from './find-nats.ts'
import { freePort } from './free-port.ts'
import { waitUntil } from './process-table.ts'
import { ServerError } from './server-error.ts'
import { watchdog } from './watchdog.ts'

export interface NatsOptions {
  /** Default: a temporary folder, which goes with the server. */
  readonly dataDir?: string
  /** Default: a free one. */
  readonly port?: number
  readonly name?: string
  /** JetStream, kept in the data folder. */
  readonly jetstream?: boolean
  /** Routes to the other servers of a cluster, as `nats://host:port` of their `port` here. */
  readonly cluster?: { readonly name: string; readonly port: number; readonly routes: readonly string[] }
}

export interface NatsServer extends AsyncDisposable {
  readonly url: string
  readonly host: string
  readonly port: number
  /** The HTTP port of the server's own monitoring. */
  readonly monitorPort: number
  readonly pid: number
  readonly dataDir: string
  readonly logFile: string
  readonly exited: Promise<void>
  stop(): Promise<void>
  /** SIGKILL; the data stays for a start with the same `dataDir`. */
  kill(): Promise<void>
}

/**
 * Starts a real nats-server on loopback; it ends soon after this process does, even when that was killed. Settles when it takes
 * clients; a cluster's JetStream is ready later, when a majority of its servers is up.
 * @throws ServerError `nats_not_found`, `server_did_not_start`
 */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const path = await findNats()
  const host = '127.0.0.1'
  const port = options.port ?? (await freePort())
  const monitorPort = await freePort()
  const work = mkdtempSync(join(tmpdir(), 'synod-nats-'))
  const dataDir = resolve(options.dataDir ?? join(work, 'data'))
  mkdirSync(dataDir, { recursive: true })
  const logFile = join(dataDir, 'nats.log')
  const log = openSync(logFile, 'a')
  const child = spawn(path, natsArguments(options, { host, port, monitorPort, dataDir }), { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  const failure: { error?: Error } = {}
  child.once('error', (error) => (failure.error = error))
  const isGone = (): boolean => failure.error !== undefined || child.exitCode !== null || child.signalCode !== null
  const exited = new Promise<void>((settle) => child.once('exit', () => settle()))
  const isUp = (await waitUntil(async () => isGone() || (await greets(host, port)), 20_000)) && !isGone()
  const { pid } = child
  if (!isUp || pid === undefined) {
    child.kill('SIGKILL')
    const tail = readFileSync(logFile, 'utf8').slice(-2000)
    rmSync(work, { recursive: true, force: true })
    throw new ServerError('server_did_not_start', `nats-server did not start on port ${port}: ${failure.error?.message ?? ''}\n${tail}`)
  }
  child.unref()
  writeFileSync(join(work, 'pid'), `${pid}\n`)
  const guard = watchdog({ pid, pidFile: join(work, 'pid'), folder: work, signal: 'KILL' })
  const end = async (name: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (!isGone()) {
      child.ref()
      child.kill(name)
      if (!(await waitUntil(isGone, 10_000))) child.kill('SIGKILL')
      await exited
    }
    guard.dismiss()
    rmSync(work, { recursive: true, force: true, maxRetries: 5 })
  }
  const stop = (): Promise<void> => end('SIGTERM')
  return {
    url: `nats://${host}:${port}`,
    host,
    port,
    monitorPort,
    pid,
    dataDir,
    logFile,
    exited,
    stop,
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: stop,
  }
}

function natsArguments(options: NatsOptions, at: { host: string; port: number; monitorPort: number; dataDir: string }): string[] {
  const { cluster } = options
  const named = [
    '--addr',
    at.host,
    '--port',
    String(at.port),
    '--http_port',
    String(at.monitorPort),
    '--name',
    options.name ?? `nats-${at.port}`,
  ]
  if (options.jetstream) named.push('--jetstream', '--store_dir', at.dataDir)
  if (cluster)
    named.push('--cluster_name', cluster.name, '--cluster', `nats://${at.host}:${cluster.port}`, '--routes', cluster.routes.join(','))
  return named
}

/** A server that takes clients sends `INFO {…}` first. */
function greets(host: string, port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host, port })
    const finish = (is: boolean): void => {
      socket.destroy()
      settle(is)
    }
    socket.once('data', (data) => finish(data.toString('latin1').startsWith('INFO ')))
    socket.once('error', () => finish(false))
    socket.setTimeout(1_000, () => finish(false))
  })
}
