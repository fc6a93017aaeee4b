import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findNats } from './find-nats.ts'
import { freePort } from './free-port.ts'
import { natsNameAt } from './nats-greeting.ts'
import { waitUntil } from './process-table.ts'
import { ServerError } from './server-error.ts'
import { watchdog } from './watchdog.ts'

export interface NatsOptions {
  /** Default: a temporary folder, which goes with the server. */
  readonly dataDir?: string
  /** Default: a free one. */
  readonly port?: number
  /** In `--name`, so that servers of a cluster tell each other apart. Default: one that nobody else has. */
  readonly name?: string
  /** The largest message it takes, in bytes. Default: the server's own, 1 MiB. */
  readonly payloadBytesMax?: number
  /** What a client must show; `subjects` are all that it may publish to and hear. Default: nothing, and all. */
  readonly credentials?:
    | { readonly user: string; readonly password: string; readonly subjects?: readonly string[] }
    | { readonly token: string }
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
  /** Holds `pid` while the server runs. */
  readonly pidFile: string
  readonly exited: Promise<void>
  stop(): Promise<void>
  /** SIGKILL; the data stays for a start with the same `dataDir`. */
  kill(): Promise<void>
}

const logBytesMax = 16 * 1024 * 1024

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
  const name = options.name ?? `synod-${randomUUID()}`
  const work = mkdtempSync(join(tmpdir(), 'synod-nats-'))
  const dataDir = resolve(options.dataDir ?? join(work, 'data'))
  mkdirSync(dataDir, { recursive: true })
  const [logFile, pidFile, configFile] = ['nats.log', 'nats.pid', 'nats.conf'].map((file) => join(dataDir, file)) as [
    string,
    string,
    string,
  ]
  if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) renameSync(logFile, `${logFile}.1`)
  writeFileSync(configFile, natsConfig(options), { mode: 0o600 })
  const log = openSync(logFile, 'a')
  const named = natsArguments(options, { host, port, monitorPort, name, dataDir, pidFile, configFile })
  const child = spawn(path, named, { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  const failure: { error?: Error } = {}
  child.once('error', (error) => (failure.error = error))
  const isGone = (): boolean => failure.error !== undefined || child.exitCode !== null || child.signalCode !== null
  const exited = new Promise<void>((settle) => child.once('exit', () => settle()))
  // By its name: when somebody else's server has the port, that one answers too, while this one is about to end.
  const isUp = (await waitUntil(async () => isGone() || (await natsNameAt(host, port)) === name, 20_000)) && !isGone()
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
  // Its number may go to a stranger now: the watchdog must not end that one.
  void exited.then(() => rmSync(join(work, 'pid'), { force: true }))
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
    pidFile,
    exited,
    stop,
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: stop,
  }
}

interface NatsPlaces {
  readonly host: string
  readonly port: number
  readonly monitorPort: number
  readonly name: string
  readonly dataDir: string
  readonly pidFile: string
  readonly configFile: string
}

function natsArguments({ jetstream, cluster }: NatsOptions, at: NatsPlaces): string[] {
  const named = ['--addr', at.host, '--port', String(at.port), '--http_port', String(at.monitorPort), '--name', at.name]
  named.push('--pid', at.pidFile, '--config', at.configFile)
  if (jetstream) named.push('--jetstream', '--store_dir', at.dataDir)
  if (cluster)
    named.push('--cluster_name', cluster.name, '--cluster', `nats://${at.host}:${cluster.port}`, '--routes', cluster.routes.join(','))
  return named
}

/** What has no option on the command line, or does not belong there, where every user of the machine can read it. */
function natsConfig({ payloadBytesMax, credentials }: NatsOptions): string {
  const lines: string[] = []
  if (payloadBytesMax !== undefined) lines.push(`max_payload: ${payloadBytesMax}`)
  if (credentials !== undefined) lines.push(`authorization: ${JSON.stringify(authorization(credentials))}`)
  return lines.map((line) => `${line}\n`).join('')
}

function authorization(credentials: NonNullable<NatsOptions['credentials']>): object {
  if ('token' in credentials) return credentials
  const { user, password, subjects } = credentials
  const permissions = subjects === undefined ? {} : { permissions: { publish: subjects, subscribe: subjects } }
  return { users: [{ user, password, ...permissions }] }
}
