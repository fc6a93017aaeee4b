import type { Patch } from './planted-fault.ts'

export class PatchError extends Error {
  readonly code = 'patch_does_not_fit'
  constructor(message: string) {
    super(message)
    this.name = 'PatchError'
  }
}

/** The text of `file` with those patches that are of it. Throws a PatchError when one does not fit. */
export function patchedText(file: string, text: string, patches: readonly Patch[]): string {
  return patches.reduce((before, patch) => (patch.file === file ? replaced(before, patch) : before), text)
}

function replaced(text: string, { file, find, replace }: Patch): string {
  const count = text.split(find).length - 1
  if (count !== 1 || find === replace) {
    throw new PatchError(
      `a planted fault replaces this text, which must stand in ${file} once and stands there ${count} times: correct the patch in packages/simulator/src/mutants/faults\n${find}`,
    )
  }
  return text.split(find).join(replace)
}
