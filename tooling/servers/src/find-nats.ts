import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { downloadDebianPackage, programCache } from './debian-package.ts'
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
  const cache = options.cacheFolder ?? programCache()
  const kept = join(cache, 'nats-server', 'usr', 'sbin', 'nats-server')
  if (await answers(kept)) return kept
  try {
    await downloadDebianPackage('nats-server', cache)
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
