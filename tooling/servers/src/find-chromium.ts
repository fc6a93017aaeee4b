import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { downloadDebianPackage, programCache } from './debian-package.ts'
import { ServerError } from './server-error.ts'

const run = promisify(execFile)
const advice = 'install chromium (apt-get install chromium) or set CHROMIUM to its path'
const onPath = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
const packageName = 'chromium-headless-shell'

export interface Chromium {
  readonly path: string
  /** To be laid over the environment it is started with: where its libraries are. */
  readonly environment: Readonly<Record<string, string>>
}

/**
 * A real Chromium that answers `--version`: `CHROMIUM`, else one on the PATH, else Debian's without a screen, downloaded once into the
 * user's cache folder with the libraries that are missing here (100 MB, 300 MB unpacked, about 10 s), for which no root is needed.
 * @throws ServerError `chromium_not_found`, with what to install
 */
export async function findChromium(options: { readonly cacheFolder?: string } = {}): Promise<Chromium> {
  const named = process.env.CHROMIUM
  if (named) {
    const chromium = { path: named, environment: {} }
    if (await answers(chromium)) return chromium
    throw new ServerError('chromium_not_found', `CHROMIUM is ${named}, which does not answer --version: ${advice}`)
  }
  for (const path of onPath) if (await answers({ path, environment: {} })) return { path, environment: {} }
  const cache = options.cacheFolder ?? programCache()
  const kept = join(cache, packageName)
  if (await answers(unpacked(kept))) return unpacked(kept)
  try {
    await downloadDebianPackage(packageName, cache, { withDependencies: true })
  } catch (cause) {
    throw new ServerError(
      'chromium_not_found',
      `no Chromium here, and it could not be downloaded (${String(cause).slice(0, 500)}): ${advice}`,
      { cause },
    )
  }
  if (await answers(unpacked(kept))) return unpacked(kept)
  throw new ServerError('chromium_not_found', `${kept} was downloaded but does not answer --version: ${advice}`)
}

/** Below the folder of an unpacked package nothing is where the linker looks for it. */
function unpacked(folder: string): Chromium {
  return {
    path: join(folder, 'usr', 'lib', 'chromium', packageName),
    environment: { LD_LIBRARY_PATH: libraryFolders(join(folder, 'usr', 'lib')).join(':') },
  }
}

function libraryFolders(folder: string): string[] {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { withFileTypes: true })
  const below = entries.filter((entry) => entry.isDirectory()).flatMap((entry) => libraryFolders(join(folder, entry.name)))
  return entries.some(({ name }) => name.includes('.so')) ? [folder, ...below] : below
}

async function answers({ path, environment }: Chromium): Promise<boolean> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 20_000, env: { ...process.env, ...environment } })
    return /Chrom/.test(stdout)
  } catch {
    return false // not there, or not a Chromium: the next place is tried
  }
}
