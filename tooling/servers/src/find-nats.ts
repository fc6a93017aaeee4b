import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ServerError } from './server-error.ts'

const run = promisify(execFile)
const advice = 'install nats-server (apt-get install nats-server, brew install nats-server) or set NATS_SERVER to its path'

/**
 * The path of a real `nats-server` that answers `--version`: `NATS_SERVER`, else one on the PATH, else Debian's package, downloaded
 * once into the user's cache folder, for which no root is needed. Takes 3 s the first time.
 * @throws ServerError `nats_not_found`, with what to install
 */
export async function findNats(options: { readonly cacheFolder?: string } = {}): Promise<string> {
  const named = process.env.NATS_SERVER
  if (named) {
    if (await answers(named)) return named
    throw new ServerError('nats_not_found', `NATS_SERVER is ${named}, which does not answer --version: ${advice}`)
  }
  if (await answers('nats-server')) return 'nats-server'
  const cache = options.cacheFolder ?? join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'synod')
  const kept = join(cache, 'nats-server', 'usr', 'sbin', 'nats-server')
  if (await answers(kept)) return kept
  try {
    await download(cache)
  } catch (cause) {
    throw new ServerError(
      'nats_not_found',
      `no nats-server here, and it could not be downloaded (${String(cause).slice(0, 500)}): ${advice}`,
      { cause },
    )
  }
  if (await answers(kept)) return kept
  throw new ServerError('nats_not_found', `${kept} was downloaded but does not answer --version: ${advice}`)
}

async function answers(path: string): Promise<boolean> {
  try {
    return (await run(path, ['--version'], { timeout: 10_000 })).stdout.includes('nats-server')
  } catch {
    return false
  }
}

/** apt with all its state in a folder of our own, so that it works as any user and changes nothing on the machine. */
async function download(cache: string): Promise<void> {
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'download-'))
  try {
    const apt = join(work, 'apt')
    const archives = join(apt, 'archives')
    mkdirSync(join(apt, 'lists', 'partial'), { recursive: true })
    mkdirSync(join(archives, 'partial'), { recursive: true })
    const settings = [
      `Dir::State=${apt}`,
      `Dir::State::lists=${join(apt, 'lists')}`,
      'Dir::State::status=/var/lib/dpkg/status',
      `Dir::Cache=${apt}`,
      `Dir::Cache::archives=${archives}`,
      'Debug::NoLocking=1',
      `APT::Sandbox::User=${userInfo().username}`,
    ].flatMap((setting) => ['-o', setting])
    await run('apt-get', [...settings, 'update'], { timeout: 120_000 })
    await run('apt-get', [...settings, 'download', 'nats-server'], { timeout: 120_000, cwd: archives })
    const file = readdirSync(archives).find((name) => name.endsWith('.deb'))
    if (file === undefined) throw new Error('apt-get downloaded nothing')
    const unpacked = join(work, 'unpacked')
    await run('dpkg', ['-x', join(archives, file), unpacked], { timeout: 60_000 })
    // Renamed whole: several test processes may do this at once, and the first one wins.
    const target = join(cache, 'nats-server')
    if (!existsSync(join(target, 'usr'))) {
      rmSync(target, { recursive: true, force: true })
      renameSync(unpacked, target)
    }
  } catch (error) {
    if (!existsSync(join(cache, 'nats-server', 'usr'))) throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
