import { fileURLToPath } from 'node:url'

const root = new URL('../../../../', import.meta.url)

/** Where the repository lies: ends with a slash. */
export const repositoryFolder = fileURLToPath(root)

/** The path from the root of the repository, with slashes; undefined for what lies outside. */
export function pathInRepository(url: string): string | undefined {
  const [plain = ''] = url.split('?')
  return plain.startsWith(root.href) ? decodeURIComponent(plain.slice(root.href.length)) : undefined
}
