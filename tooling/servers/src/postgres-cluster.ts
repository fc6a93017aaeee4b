import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { freePort } from './free-port.ts'
import { ServerError } from './server-error.ts'
import { blockedFolder, unprivilegedUser } from './unprivileged-user.ts'

export const superuser = 'synod'

/** What a data folder remembers about its server between two starts. */
export interface ClusterRecord {
  readonly version: 1
  readonly port: number
  readonly password: string
}

const recordName = 'synod-server.json'

/**
 * A folder as the server's user can name it. Where that user cannot pass through a folder above (a data folder below a 0700
 * folder of root's), the server inherits the open folder and names it by descriptor, which asks for no permission on the way.
 */
export function openForServer(folder: string): {
  readonly name: string
  readonly stdio: readonly number[]
  close(): void
} {
  const blocked = blockedFolder(dirname(folder), unprivilegedUser(folder))
  if (blocked === undefined) return { name: folder, stdio: [], close: () => {} }
  if (process.platform !== 'linux') {
    throw new ServerError(
      'data_folder_unreachable',
      `Postgres does not run as root, and no other user can pass through ${blocked}: run as an ordinary user, or set SYNOD_DATA to a folder that every user can reach`,
    )
  }
  const descriptor = openSync(folder, 'r')
  return { name: '/proc/self/fd/3', stdio: [descriptor], close: () => closeSync(descriptor) }
}

/** The environment without the variables by which libpq and Postgres are steered from outside. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG') && !name.startsWith('LC_')))
}

/**
 * Makes the database cluster in `folder` unless it is there, and says how to reach it. It is made aside and renamed, so that a
 * start cut short leaves nothing that looks like a cluster.
 * @throws ServerError `data_folder_foreign` when the folder holds something else
 */
export async function ensureCluster(
  folder: string,
  binaries: PostgresBinaries,
  options: { readonly port?: number; readonly durable: boolean },
): Promise<ClusterRecord> {
  if (existsSync(join(folder, recordName))) return JSON.parse(readFileSync(join(folder, recordName), 'utf8')) as ClusterRecord
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new ServerError('data_folder_foreign', `${folder} holds files that Synod did not make: name an empty folder`)
  }
  const parent = dirname(folder)
  mkdirSync(parent, { recursive: true })
  for (const name of readdirSync(parent)) {
    if (name.startsWith(`${basename(folder)}.new-`)) rmSync(join(parent, name), { recursive: true, force: true })
  }
  const half = `${folder}.new-${process.pid}`
  mkdirSync(half, { mode: 0o700 })
  giveToServer(half, folder)
  const record: ClusterRecord = {
    version: 1,
    port: options.port ?? (await freePort()),
    password: randomBytes(18).toString('base64url'),
  }
  await initdb(half, binaries, record.password, options.durable)
  writeRecord(half, record)
  rmSync(folder, { recursive: true, force: true })
  renameSync(half, folder)
  if (options.durable) syncFolder(parent)
  return record
}

/** Written aside and renamed: the password must survive a crash in the middle. */
export function writeRecord(folder: string, record: ClusterRecord): void {
  const path = join(folder, recordName)
  const descriptor = openSync(`${path}.new`, 'w', 0o600)
  writeFileSync(descriptor, `${JSON.stringify(record)}\n`)
  fsyncSync(descriptor)
  closeSync(descriptor)
  giveToServer(`${path}.new`, folder)
  renameSync(`${path}.new`, path)
}

function giveToServer(path: string, folder: string): void {
  const user = unprivilegedUser(folder)
  if (user !== undefined) chownSync(path, user.uid, user.gid)
}

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return // a folder cannot be opened there
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/** Passwords, not trust: any local user can reach a loopback port, and a superuser of Postgres can run programs. */
async function initdb(folder: string, binaries: PostgresBinaries, password: string, durable: boolean): Promise<void> {
  const secret = mkdtempSync(join(tmpdir(), 'synod-initdb-'))
  const passwordFile = join(secret, 'password')
  const seen = openForServer(folder)
  try {
    writeFileSync(passwordFile, password, { mode: 0o600 })
    giveToServer(passwordFile, folder)
    giveToServer(secret, folder)
    const child = spawn(binaries.initdb, initdbArguments(seen.name, passwordFile, durable), {
      ...unprivilegedUser(folder),
      cwd: '/',
      env: serverEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe', ...seen.stdio],
    })
    let output = ''
    child.stdout?.on('data', (chunk) => (output += String(chunk)))
    child.stderr?.on('data', (chunk) => (output += String(chunk)))
    const code = await new Promise((settle, fail) => child.once('error', fail).once('close', settle))
    if (code !== 0) throw new ServerError('server_did_not_start', `initdb failed (${String(code)}) in ${folder}:\n${output.slice(-2000)}`)
  } finally {
    seen.close()
    rmSync(secret, { recursive: true, force: true })
  }
}

function initdbArguments(folder: string, passwordFile: string, durable: boolean): string[] {
  const access = ['-U', superuser, '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const contents = ['--locale=C', '--encoding=UTF8', '--data-checksums']
  return ['-D', folder, ...access, ...contents, ...(durable ? [] : ['--no-sync'])]
}
