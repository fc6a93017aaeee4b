import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findEtcd } from './find-etcd.ts'
import { freePort } from './free-port.ts'
import { waitUntil } from './process-table.ts'
import { ServerError } from './server-error.ts'
import { watchdog } from './watchdog.ts'

export interface EtcdCluster extends AsyncDisposable {
  /** As etcd says it, such as `3.4.23`. */
  readonly version: string
  /** Where clients go, a URL a server: gRPC, and HTTP for `/health` and `/v3`. */
  readonly urls: readonly string[]
  /** The URL of the server that led when all were healthy. */
  readonly leaderUrl: string
  readonly pids: readonly number[]
  /** Ends the servers and removes their data. Idempotent. */
  stop(): Promise<void>
}

interface Server {
  readonly url: string
  readonly child: ChildProcess
  readonly logFile: string
  stop(): Promise<void>
}

const startMillisecondsMax = 30_000
const stopMillisecondsMax = 10_000

/**
 * Real etcd servers on loopback with temporary data, set as etcd comes (fsync before an answer); they end soon after this process
 * does, even when that was killed. Settles when all are healthy and one leads.
 * @throws ServerError `etcd_not_found`, `server_did_not_start`
 */
export async function startEtcdCluster(options: { readonly size?: number } = {}): Promise<EtcdCluster> {
  const path = await findEtcd()
  const size = options.size ?? 3
  const ports = new Set<number>()
  while (ports.size < size * 2) ports.add(await freePort())
  const [clientPorts, peerPorts] = [[...ports].slice(0, size), [...ports].slice(size)]
  const cluster = peerPorts.map((port, index) => `etcd-${index + 1}=http://127.0.0.1:${port}`).join(',')
  const servers = clientPorts.map((port, index) =>
    startServer(path, { name: `etcd-${index + 1}`, port, peerPort: peerPorts[index]!, cluster }),
  )
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  const urls = servers.map(({ url }) => url)
  const found: { leader: Leader | undefined } = { leader: undefined }
  const isLed = async (): Promise<boolean> => (found.leader = await leaderOf(urls)) !== undefined
  const isUp = await waitUntil(async () => servers.some(({ child }) => isOver(child)) || (await isLed()), startMillisecondsMax)
  const { leader } = found
  if (!isUp || leader === undefined) {
    const tails = servers.map(({ logFile }) => readFileSync(logFile, 'utf8').slice(-1000))
    await stop()
    throw new ServerError(
      'server_did_not_start',
      `${size} etcd servers did not find together in ${startMillisecondsMax / 1000} s:\n${tails.join('\n')}`,
    )
  }
  const pids = servers.flatMap(({ child }) => child.pid ?? [])
  return { version: leader.version, urls, leaderUrl: leader.url, pids, stop, [Symbol.asyncDispose]: stop }
}

interface ServerPlan {
  readonly name: string
  readonly port: number
  readonly peerPort: number
  /** Every member, as `--initial-cluster` wants it. */
  readonly cluster: string
}

function startServer(path: string, { name, port, peerPort, cluster }: ServerPlan): Server {
  const work = mkdtempSync(join(tmpdir(), 'synod-etcd-'))
  const logFile = join(work, 'etcd.log')
  mkdirSync(join(work, 'data'), { mode: 0o700 })
  const log = openSync(logFile, 'a')
  const url = `http://127.0.0.1:${port}`
  const peerUrl = `http://127.0.0.1:${peerPort}`
  const settings = {
    name,
    'data-dir': join(work, 'data'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': cluster,
    'initial-cluster-token': cluster,
    'initial-cluster-state': 'new',
    'log-level': 'warn',
    logger: 'zap',
  }
  const child = spawn(
    path,
    Object.entries(settings).map(([key, value]) => `--${key}=${value}`),
    { detached: true, stdio: ['ignore', log, log] },
  )
  child.once('error', (error) => writeFileSync(logFile, String(error), { flag: 'a' }))
  closeSync(log)
  child.unref()
  const pidFile = join(work, 'pid')
  writeFileSync(pidFile, `${child.pid}\n`)
  const guard = child.pid === undefined ? undefined : watchdog({ pid: child.pid, pidFile, folder: work, signal: 'KILL' })
  const stop = async (): Promise<void> => {
    if (!isOver(child)) {
      child.ref() // an owner with nothing else to do must not end before its server has
      child.kill('SIGKILL') // its data goes with it, and a graceful end waits seconds for connections
      await waitUntil(() => isOver(child), stopMillisecondsMax)
    }
    guard?.dismiss()
    rmSync(work, { recursive: true, force: true, maxRetries: 5 })
  }
  return { url, child, logFile, stop }
}

function isOver(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

interface Leader {
  readonly url: string
  readonly version: string
}

/** The leader, once every server is healthy. */
async function leaderOf(urls: readonly string[]): Promise<Leader | undefined> {
  try {
    const states = await Promise.all(urls.map(stateOf))
    return states.every(({ isHealthy }) => isHealthy) ? states.find(({ isLeader }) => isLeader) : undefined
  } catch {
    return undefined // not all of them answer yet
  }
}

async function stateOf(url: string): Promise<Leader & { readonly isHealthy: boolean; readonly isLeader: boolean }> {
  const signal = AbortSignal.timeout(2_000)
  const health = (await (await fetch(`${url}/health`, { signal })).json()) as { health?: string }
  const status = (await (await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body: '{}', signal })).json()) as {
    header?: { member_id?: string }
    version?: string
    leader?: string
  }
  const isLeader = status.leader !== undefined && status.leader === status.header?.member_id
  return { url, version: status.version ?? '', isHealthy: health.health === 'true', isLeader }
}
