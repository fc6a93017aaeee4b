/** What became of one killer of one fault. */
import type { Mode } from '../world/seed-plan.ts'

export interface Trial {
  /** Whether the killer noticed anything. */
  readonly isKilled: boolean
  /** How much it took, or how much it looked at in vain. */
  readonly count: number
  readonly unit: 'seeds' | 'states' | 'tests'
  /** What it noticed, in one line; empty when it noticed nothing. */
  readonly what: string
  /** The seed that noticed it: the unpatched product has to pass it. */
  readonly seed?: { readonly mode: Mode; readonly seed: number }
}

/** The fault could not be tried: it does not run at all, or not to the end. Says nothing about the harness. */
export class TrialError extends Error {
  readonly code = 'fault_not_tried'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'TrialError'
  }
}

/** A patch that names what is not there stops every node, and would count as killed. */
export function requireSoundPatch(what: string): void {
  if (/is not defined|is not a function|Cannot read properties of|has already been declared/.test(what))
    throw new TrialError(`the patch itself is broken: ${firstLine(what)}`)
}

export function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}
