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

export function readState(file: string): SimulateState | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const state = JSON.parse(text) as SimulateState
  if (state.version !== 2) throw new Error(`${file} was written by another version: remove it`)
  return state
}

export function writeState(file: string, state: SimulateState): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(state))
  renameSync(`${file}.new`, file)
}
