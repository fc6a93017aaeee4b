/**
 * A planted fault is a patch of the source text and the ways in which the harness has to notice it. Nothing of it is in the product:
 * the text is replaced while a module is loaded, in the thread or process of the simulator that was asked for it by name (`plant.ts`).
 */
import type { Bounds } from '../explorer/bounds.ts'
import type { Mode } from '../world/seed-plan.ts'

export interface Patch {
  /** From the root of the repository. */
  readonly file: string
  /** Stands in the file exactly once; anything else is an error, so that the list cannot rot. */
  readonly find: string
  readonly replace: string
}

export type Killer =
  /** One of the seeds from 1 to `seedsMax` ends with a violation. */
  | { readonly by: 'seeds'; readonly mode: Mode; readonly seedsMax: number }
  /** A state within the bounds violates an invariant. */
  | { readonly by: 'explorer'; readonly bounds: Bounds }
  /** A test fails. `test` is its title or the beginning of several; `file` is in the package's `test` folder. */
  | { readonly by: 'test'; readonly folder: string; readonly file: string; readonly test: string }

export interface PlantedFault {
  readonly name: string
  /** The rule that it breaks, for people. */
  readonly breaks: string
  readonly patches: readonly Patch[]
  /** Each of them has to notice it. */
  readonly killers: readonly Killer[]
}

/** A fault that cannot be planted yet. It is listed and never counted. */
export interface FaultNotYet {
  readonly name: string
  readonly breaks: string
  /** What of the product is missing. */
  readonly needs: string
}
