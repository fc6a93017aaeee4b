/**
 * Adapters are found by the name that a config file gives: from that file's folder first, so that a package a user installed
 * beside it wins, then from this app, which brings its own along.
 */
import { readFileSync } from 'node:fs'
import { createRequire, findPackageJSON } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from './config-error.ts'

const namesListedMax = 10

export interface LoadedExport {
  /** Which of the names it was. */
  readonly name: string
  /** Unchecked: the caller knows its port. */
  readonly value: unknown
}

/** The first of these exports that the package has. @throws ConfigError `package_…` */
export async function loadPackage(name: string, exported: readonly string[], fromFile: string): Promise<LoadedExport> {
  const path = resolvePackage(name, fromFile)
  let loaded: Record<string, unknown>
  try {
    loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (cause) {
    throw new ConfigError('package_failed', `package ${name} (${path}) does not load: ${(cause as Error).message}`, { cause })
  }
  const found = exported.find((candidate) => loaded[candidate] !== undefined)
  if (found === undefined) {
    const names = listed(Object.keys(loaded))
    throw new ConfigError(
      'package_export_missing',
      `package ${name} (${path}) has no export \`${exported.join('` or `')}\` (it has ${names}): name a package that implements this port`,
    )
  }
  return { name: found, value: loaded[found] }
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'nothing'
  const more = names.length - namesListedMax
  return names.slice(0, namesListedMax).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function resolvePackage(name: string, fromFile: string): string {
  const failures: string[] = []
  for (const base of [resolve(fromFile), import.meta.filename]) {
    try {
      return resolveFrom(name, base)
    } catch (error) {
      failures.push((error as Error).message.split('\n')[0] ?? '')
    }
  }
  throw new ConfigError(
    'package_not_found',
    `package ${name} is found neither from ${dirname(resolve(fromFile))} nor from the app: install it, or correct its name (${failures[0]})`,
  )
}

function resolveFrom(name: string, base: string): string {
  if (name.startsWith('.') || name.startsWith('/')) return createRequire(base).resolve(resolve(dirname(base), name))
  try {
    return createRequire(base).resolve(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error
    // A package for `import` only: its entry is named under that condition.
    const manifest = findPackageJSON(name, pathToFileURL(base))
    if (manifest === undefined) throw error
    const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: unknown }
    const entry = importEntry(exports)
    if (entry === undefined) throw error
    return join(dirname(manifest), entry)
  }
}

function importEntry(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports
  if (typeof exports !== 'object' || exports === null) return undefined
  const conditions = exports as Record<string, unknown>
  for (const key of ['.', 'import', 'node', 'default']) {
    const entry = importEntry(conditions[key])
    if (entry !== undefined) return entry
  }
  return undefined
}
