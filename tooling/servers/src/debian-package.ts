import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const stepMillisecondsMax = 120_000

/** Where programs that were downloaded once are kept for this user. */
export function programCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'synod')
}

/**
 * Downloads a Debian package and unpacks it into `<cache>/<name>`, without its scripts and, unless told otherwise, without its
 * dependencies. apt works with all its state in a folder of our own, so that this needs no root and changes nothing on the machine.
 * Takes about 3 s.
 * @param options.withDependencies those that this machine does not have, into the same folder
 * @throws whatever apt-get or dpkg said, or that they are not here
 */
export async function downloadDebianPackage(
  name: string,
  cache: string,
  options: { readonly withDependencies?: boolean } = {},
): Promise<void> {
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'download-'))
  const kept = join(cache, name)
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
    await run('apt-get', [...settings, 'update'], { timeout: stepMillisecondsMax })
    const download = options.withDependencies ? ['--download-only', '--no-install-recommends', '-y', 'install', name] : ['download', name]
    await run('apt-get', [...settings, ...download], { timeout: stepMillisecondsMax, cwd: archives })
    const files = readdirSync(archives).filter((entry) => entry.endsWith('.deb'))
    if (files.length === 0) throw new Error('apt-get downloaded nothing')
    const unpacked = join(work, 'unpacked')
    for (const file of files) await run('dpkg', ['-x', join(archives, file), unpacked], { timeout: stepMillisecondsMax })
    // Renamed whole: several test processes may do this at once, and the first one wins.
    if (!existsSync(join(kept, 'usr'))) {
      rmSync(kept, { recursive: true, force: true })
      renameSync(unpacked, kept)
    }
  } catch (error) {
    if (!existsSync(join(kept, 'usr'))) throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
