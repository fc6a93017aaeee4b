/** Many seeds on all cores, with live progress; or one seed with its trace. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Violation } from '../checkers/violation.ts'
import { runSeed } from '../run-seed.ts'
import type { Mode } from '../world/seed-plan.ts'
import { traceText } from '../world/trace.ts'
import { add, figuresText } from './figures.ts'
import { runPool } from './seed-pool.ts'
import { differences, type SeedReport, type SeedTask } from './seed-task.ts'
import { readState, writeState, type SeedFailure, type SimulateState } from './state-file.ts'

export interface SimulateOptions {
  readonly modes: readonly Mode[]
  readonly seeds?: number
  readonly seed?: number
  readonly minutes?: number
  readonly from?: number
  readonly threads: number
  readonly folder: string
  /** By name; they are planted in this thread already. */
  readonly faultsPlanted: readonly string[]
}

const seedsDefault = 200
/** Of seeds that run twice. */
const twiceEvery = 100
const progressMs = 1000

/** The exit code: 1 when anything was violated. */
export async function simulate(options: SimulateOptions): Promise<number> {
  return options.seed === undefined ? runMany(options) : runOne(options, options.seed)
}

async function runOne(options: SimulateOptions, seed: number): Promise<number> {
  let failed = 0
  for (const mode of options.modes) {
    const result = await runSeed({ mode, seed, isTraced: true })
    const violations = [...result.violations, ...differences(result, await runSeed({ mode, seed }))]
    console.log(
      `${mode} ${seed}: ${(result.simulatedMs / 1000).toFixed(1)} s, ${result.operations} operations, ${result.slots} slots, trace ${result.traceHash}`,
    )
    console.log(JSON.stringify(result.plan, undefined, 1))
    console.log(`  ${writeTrace(options.folder, mode, seed, traceText(result.trace), violations)}`)
    for (const { kind, message } of violations) console.log(`  ${kind}: ${message}`)
    if (violations.length > 0) failed++
  }
  return failed > 0 ? 1 : 0
}

async function runMany(options: SimulateOptions): Promise<number> {
  const { modes, threads, folder, minutes, faultsPlanted } = options
  const file = join(folder, `${modes.join('-')}${faultsPlanted.map((name) => `-${name}`).join('')}.json`)
  const known = options.from === undefined ? readState(file) : undefined
  const state: SimulateState = known ?? { version: 2, next: options.from ?? 1, done: [], failed: [], figures: {} }
  if (known !== undefined) console.log(`Going on from seed ${known.next}, where the last run was interrupted (${file}).`)
  const wanted = options.seeds ?? (minutes === undefined ? seedsDefault : Infinity)
  const before = Object.values(state.figures).reduce((sum, { seeds }) => sum + seeds, 0)
  const left = Math.max(0, wanted - before)
  const { failed } = state
  const until = minutes === undefined ? Infinity : performance.now() + minutes * 60_000
  const progress = new Progress(wanted, before)
  const isInterrupted = onInterrupt()
  await runPool(tasks(state, modes, left), {
    threads,
    faultsPlanted,
    isOver: () => isInterrupted() || performance.now() >= until,
    onReport: (report) => {
      note(state, modes, report)
      const { mode, seed, violations } = report
      const [first] = violations
      if (first !== undefined) {
        failed.push({ mode, seed, violations })
        progress.tell(`${mode} ${seed} ${first.kind}: ${first.message.split('\n')[0]}`)
      }
      if (progress.on(state) || first !== undefined) writeState(file, state)
    },
  })
  progress.end()
  if (isInterrupted()) writeState(file, state)
  else rmSync(file, { force: true })
  for (const report of failed) await replay(report, options)
  console.log(figuresText(state.figures))
  console.log(failed.length === 0 ? 'No violation.' : `${failed.length} seeds failed.`)
  if (isInterrupted()) console.log('Interrupted: the same command goes on from here.')
  return failed.length > 0 ? 1 : 0
}

/** Runs a failed seed again, for its trace. It may have failed in a run that was interrupted, before somebody mended the product. */
async function replay({ mode, seed, violations }: SeedFailure, { folder, faultsPlanted }: SimulateOptions): Promise<void> {
  const { trace, violations: now } = await runSeed({ mode, seed, isTraced: true })
  const isDeterminism = violations.every(({ kind }) => kind === 'determinism')
  const again = now.length > 0 || isDeterminism ? '' : '; it does not fail any more'
  const file = writeTrace(folder, mode, seed, traceText(trace), violations)
  const fault = faultsPlanted.length === 0 ? '' : ` --fault ${faultsPlanted.join(' ')}`
  console.log(
    `pnpm simulate --protocol ${mode} --seed ${seed}${fault}   # ${violations.map(({ kind }) => kind).join(', ')}; ${file}${again}`,
  )
}

function writeTrace(folder: string, mode: Mode, seed: number, text: string, violations: readonly Violation[]): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${mode}-${seed}.trace.txt`)
  writeFileSync(file, text + violations.map(({ kind, message }) => `\n${kind}: ${message}\n`).join(''))
  return file
}

function* tasks(state: SimulateState, modes: readonly Mode[], count: number): Generator<SeedTask, undefined> {
  const done = new Set(state.done)
  let left = count
  for (let seed = state.next; left > 0; seed++) {
    for (const mode of modes) {
      if (left <= 0 || done.has(`${mode}/${seed}`)) continue
      left--
      yield { mode, seed, isTwice: seed % twiceEvery === 0 }
    }
  }
  return undefined
}

function note(state: SimulateState, modes: readonly Mode[], report: SeedReport): void {
  add(state.figures, report)
  state.done.push(`${report.mode}/${report.seed}`)
  while (modes.every((mode) => state.done.includes(`${mode}/${state.next}`))) {
    const { next } = state
    state.done = state.done.filter((name) => !modes.some((mode) => name === `${mode}/${next}`))
    state.next++
  }
}

/** The first Ctrl-C lets the seeds under way end, the second one does not. */
function onInterrupt(): () => boolean {
  let isInterrupted = false
  process.once('SIGINT', () => {
    isInterrupted = true
    console.log('\nThe seeds under way are ended first.')
  })
  return () => isInterrupted
}

class Progress {
  readonly #wanted: number
  readonly #before: number
  readonly #began = performance.now()
  readonly #isLive = process.stdout.isTTY
  #told = -Infinity
  #done = 0

  constructor(wanted: number, before: number) {
    this.#wanted = wanted
    this.#before = before
  }

  /** True when it is time to save, too. */
  on(state: SimulateState): boolean {
    this.#done++
    const now = performance.now()
    if (now - this.#told < (this.#isLive ? progressMs : progressMs * 15)) return false
    this.#told = now
    const simulated = Object.values(state.figures).reduce((sum, { simulatedMs }) => sum + simulatedMs, 0)
    const of = this.#wanted === Infinity ? '' : ` of ${this.#wanted}`
    this.tell(
      `${this.#before + this.#done}${of} seeds, ${(simulated / 3_600_000).toFixed(2)} simulated hours, ${((now - this.#began) / 1000).toFixed(0)} s`,
      true,
    )
    return true
  }

  tell(text: string, isPassing = false): void {
    if (!this.#isLive) console.log(text)
    else process.stdout.write(isPassing ? `\r\u001b[K${text}` : `\r\u001b[K${text}\n`)
  }

  end(): void {
    if (this.#isLive) process.stdout.write('\r\u001b[K')
  }
}
