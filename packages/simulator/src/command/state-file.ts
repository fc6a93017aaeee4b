/** What a run of many seeds has done, so that another one goes on from there. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Violation } from '../checkers/violation.ts'
import type { Mode } from '../world/seed-plan.ts'
import type { Figures } from './figures.ts'

export interface SimulateState {
  readonly version: 2
  /** Seeds below this are done, in every mode. */
  next: number
  /** Seeds at or above `next` that are done too, as `mode/seed`. */
  done: string[]
  /** Those that failed, to be told again by the run that ends. */
  failed: SeedFailure[]
  figures: Figures
}

export interface SeedFailure {
  readonly mode: Mode
  readonly seed: number
  readonly violations: readonly Violation[]
}

/** The file is of another build, or damaged: the message says what to do. */
export class StateFileError extends Error {
  readonly code = 'state_file'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StateFileError'
  }
}

/** Undefined when there is none. Throws a StateFileError. */
export function readState(file: string): SimulateState | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  let state: SimulateState
  try {
    state = JSON.parse(text) as SimulateState
  } catch (error) {
    throw new StateFileError(`${file} is damaged: remove it, or begin anew with --from 1`, { cause: error })
  }
  if (state.version !== 2) throw new StateFileError(`${file} was written by another version: remove it, or begin anew with --from 1`)
  return state
}

export function writeState(file: string, state: SimulateState): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(state))
  renameSync(`${file}.new`, file)
}
