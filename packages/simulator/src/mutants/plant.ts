/**
 * Plants faults in this thread: every module that is loaded from now on has them. Modules that were loaded before do not, so
 * whoever plants imports what it wants to run afterwards, by `import()`. Other threads and processes are not touched.
 */
import { registerHooks } from 'node:module'
import { faultNamed } from './all-faults.ts'
import { patchedText } from './patched-text.ts'
import { pathInRepository } from './repository.ts'

/** Returns a check to be called when everything is loaded: it throws when a patched file was not among it. Throws a RangeError for an unknown name. */
export function plant(names: readonly string[]): () => void {
  const patches = names.flatMap((name) => faultNamed(name).patches)
  const left = new Set(patches.map(({ file }) => file))
  if (patches.length > 0) {
    registerHooks({
      load(url, context, nextLoad) {
        const loaded = nextLoad(url, context)
        const file = pathInRepository(url)
        if (file === undefined || loaded.source === undefined || loaded.source === null || !patches.some((patch) => patch.file === file))
          return loaded
        left.delete(file)
        const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
        return { ...loaded, source: patchedText(file, text, patches) }
      },
    })
  }
  return () => {
    if (left.size > 0)
      throw new Error(`${names.join(', ')} was not planted: ${[...left].join(', ')} was loaded before, or is not loaded at all`)
  }
}
