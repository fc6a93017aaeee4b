import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockFolder } from './folder-lock.ts'
import { freePort, isPortFree } from './free-port.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { postgresBinaries } from './postgres-binaries.ts'
import { ensureCluster, openForServer, serverEnvironment, superuser, writeRecord } from './postgres-cluster.ts'
import { postgresSettings } from './postgres-settings.ts'
import { readPostmasterFile, stopLeftover } from './postmaster-file.ts'
import { postgresProcessesIn, signal, waitUntil } from './process-table.ts'
import { ServerError } from './server-error.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

export interface PostgresOptions {
  /** The folder of the database cluster, made if absent. Its log is `<dataDir>.log`, its lock `<dataDir>.lock`. */
  readonly dataDir: string
  /** Default: a free port, kept for the next start; another one when somebody took it meanwhile. */
  readonly port?: number
  /** On top of `postgresSettings`. */
  readonly settings?: Readonly<Record<string, string>>
  /** How long recovery after a crash may take. Default 120,000. */
  readonly startTimeoutMs?: number
}

export interface PostgresServer {
  readonly connectionString: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly pid: number
  readonly dataDir: string
  readonly logFile: string
  /** Settles when the postmaster is gone, for whatever reason. */
  readonly exited: Promise<void>
  /** `fast` cuts connections and writes a checkpoint; `immediate` leaves recovery to the next start. Twice is once. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** SIGKILL to the postmaster and its children, as a power cut would. */
  kill(): Promise<void>
}

const logBytesMax = 16 * 1024 * 1024

/**
 * Starts Postgres 18 on loopback, in a session of its own, so that a Ctrl-C at the terminal does not reach it before its owner has
 * shut down. It outlives an owner that is killed; the next start in that folder stops it first.
 * @throws ServerError `binaries_missing`, `data_folder_in_use`, `data_folder_foreign`, `data_folder_unreachable`, `server_did_not_start`, `server_did_not_stop`
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const folder = resolve(options.dataDir)
  try {
    return await startIn(folder, options)
  } catch (cause) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(String((cause as NodeJS.ErrnoException).code))) throw cause
    throw new ServerError(
      'data_folder_unreachable',
      `${folder} is another user's or cannot be written (${String(cause)}): give it to this user, or set SYNOD_DATA to another folder`,
      { cause },
    )
  }
}

async function startIn(folder: string, options: PostgresOptions): Promise<PostgresServer> {
  const binaries = await postgresBinaries(folder)
  mkdirSync(dirname(folder), { recursive: true })
  const lock = lockFolder(`${folder}.lock`)
  try {
    const settings = { ...postgresSettings, ...options.settings }
    let record = await ensureCluster(folder, binaries, {
      ...(options.port && { port: options.port }),
      durable: settings.fsync !== 'off',
    })
    await stopLeftover(folder)
    for (let attempt = 1; ; attempt++) {
      const port = options.port ?? ((await isPortFree(record.port)) ? record.port : await freePort())
      if (port !== record.port) writeRecord(folder, (record = { ...record, port }))
      const started = await spawnPostgres(folder, binaries, { ...settings, port: String(port) }, options.startTimeoutMs ?? 120_000)
      if (started.child !== undefined) return handle(folder, started.child, record.password, port, lock)
      // Somebody can take the port between the look and the bind; then another one, unless it was asked for by number.
      if (attempt === 3 || options.port !== undefined || !started.log.includes('could not bind')) {
        throw new ServerError(
          'server_did_not_start',
          `Postgres did not start in ${folder} (log: ${folder}.log):\n${started.log.slice(-2000)}`,
        )
      }
      await sleep(20)
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

type Started = { readonly child: ChildProcess & { readonly pid: number } } | { readonly child?: never; readonly log: string }

async function spawnPostgres(
  folder: string,
  binaries: PostgresBinaries,
  settings: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<Started> {
  const logFile = `${folder}.log`
  if (existsSync(logFile) && statSync(logFile).size > logBytesMax) renameSync(logFile, `${logFile}.1`)
  const log = openSync(logFile, 'a', 0o600)
  const logFrom = fstatSync(log).size
  const seen = openForServer(folder)
  const child = spawn(
    binaries.postgres,
    ['-D', seen.name, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    {
      ...unprivilegedUser(folder),
      cwd: '/',
      env: serverEnvironment(),
      detached: true,
      stdio: ['ignore', log, log, ...seen.stdio],
    },
  )
  const failure: { error?: Error } = {}
  child.once('error', (error) => (failure.error = error))
  seen.close()
  closeSync(log)
  const isReady = (): boolean => {
    const file = readPostmasterFile(folder)
    return file !== undefined && file.pid === child.pid && file.ready
  }
  const isOver = (): boolean => failure.error !== undefined || child.exitCode !== null || child.signalCode !== null
  await waitUntil(() => isReady() || isOver(), timeoutMs)
  if (!isOver() && isReady()) {
    child.unref()
    return { child: child as ChildProcess & { readonly pid: number } }
  }
  if (!isOver()) {
    child.kill('SIGQUIT')
    await waitUntil(isOver, 5_000)
  }
  return { log: `${failure.error?.message ?? ''}${readFileSync(logFile).subarray(logFrom).toString('utf8')}` }
}

function handle(
  folder: string,
  child: ChildProcess & { readonly pid: number },
  password: string,
  port: number,
  lock: { release(): void },
): PostgresServer {
  const host = '127.0.0.1'
  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null
  const exited = new Promise<void>((settle) => {
    const finish = (): void => {
      lock.release()
      settle()
    }
    if (isGone()) finish()
    else child.once('exit', finish)
  })
  return {
    connectionString: `postgres://${superuser}:${password}@${host}:${port}/postgres`,
    host,
    port,
    user: superuser,
    password,
    database: 'postgres',
    pid: child.pid,
    dataDir: folder,
    logFile: `${folder}.log`,
    exited,
    async stop(mode = 'fast') {
      if (isGone()) return
      child.ref() // an owner with nothing else to do must not end before its database has
      child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      if (!(await waitUntil(isGone, 30_000))) {
        child.kill('SIGKILL')
        if (!(await waitUntil(isGone, 5_000)))
          throw new ServerError('server_did_not_stop', `Postgres ${child.pid} in ${folder} survives a SIGKILL: is its disk stuck?`)
      }
      await exited
    },
    async kill() {
      const children = postgresProcessesIn(folder)
      child.kill('SIGKILL')
      for (const pid of children) if (pid !== child.pid) signal(pid, 'SIGKILL')
      await waitUntil(() => isGone() && postgresProcessesIn(folder).length === 0, 5_000)
      lock.release()
    },
  }
}
