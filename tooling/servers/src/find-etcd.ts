import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { downloadDebianPackage, programCache } from './debian-package.ts'
import { ServerError } from './server-error.ts'

const run = promisify(execFile)
const advice = 'install etcd (apt-get install etcd-server, brew install etcd) or set ETCD_SERVER to its path'

/**
 * The path of a real `etcd` that answers `--version`: `ETCD_SERVER`, else one on the PATH, else Debian's package, downloaded once into
 * the user's cache folder, for which no root is needed. Takes 3 s the first time.
 * @throws ServerError `etcd_not_found`, with what to install
 */
export async function findEtcd(options: { readonly cacheFolder?: string } = {}): Promise<string> {
  const named = process.env.ETCD_SERVER
  if (named) {
    if (await answers(named)) return named
    throw new ServerError('etcd_not_found', `ETCD_SERVER is ${named}, which does not answer --version: ${advice}`)
  }
  if (await answers('etcd')) return 'etcd'
  const cache = options.cacheFolder ?? programCache()
  const kept = join(cache, 'etcd-server', 'usr', 'bin', 'etcd')
  if (await answers(kept)) return kept
  try {
    await downloadDebianPackage('etcd-server', cache)
  } catch (cause) {
    throw new ServerError('etcd_not_found', `no etcd here, and it could not be downloaded (${String(cause).slice(0, 500)}): ${advice}`, {
      cause,
    })
  }
  if (await answers(kept)) return kept
  throw new ServerError('etcd_not_found', `${kept} was downloaded but does not answer --version: ${advice}`)
}

async function answers(path: string): Promise<boolean> {
  try {
    return (await run(path, ['--version'], { timeout: 10_000 })).stdout.includes('etcd Version')
  } catch {
    return false // not there, or not etcd: the next place is tried
  }
}
