/**
 * Tries every killer of every fault, then the same killers on the product as it is: a fault that nobody notices is a hole in the
 * harness, and so is a killer that kills what is sound. One killer at a time in each lane, each in a thread or process of its own.
 */
import type { Bounds } from '../explorer/bounds.ts'
import { faultNamed } from './all-faults.ts'
import { canaries } from './faults/canaries.ts'
import type { Killer, PlantedFault } from './planted-fault.ts'
import { TrialError, type Trial } from './trial.ts'
import { tryExplorer } from './try-explorer.ts'
import { seedsUpTo, trySeeds, type SeedToTry } from './try-seeds.ts'
import { tryTests } from './try-tests.ts'

export interface RunMutantsOptions {
  /** By name. The canaries are tried in any case. */
  readonly names: readonly string[]
  /** Killers at a time. */
  readonly lanes: number
  readonly onTried?: (tried: Tried, done: number, of: number) => void
}

/** One killer, of a fault or, where there is none, of the product as it is. */
export interface Tried {
  readonly fault?: string
  readonly killer: string
  readonly seconds: number
  /** Undefined when it could not be tried, for the reason that `error` gives. */
  readonly trial?: Trial
  readonly error?: string
}

export interface MutantsResult {
  /** In the order of the names, the canaries first; a line a killer. */
  readonly tried: readonly Tried[]
  /** The same killers on the unpatched product: none may be noticed. */
  readonly unpatched: readonly Tried[]
  readonly seconds: number
}

/** Of the unpatched product, so that the largest bounds do not take the longest: several times what any fault takes. */
const unpatchedStatesMax = 100_000
const seedsAtATime = 30

interface Job {
  readonly fault?: string
  readonly killer: string
  readonly run: () => Promise<Trial>
}

export async function runMutants({ names, lanes, onTried = () => {} }: RunMutantsOptions): Promise<MutantsResult> {
  const began = performance.now()
  const faults = [...canaries, ...names.map(faultNamed)]
  let done = 0
  const killers = faults.flatMap(({ killers: of }) => of)
  const first = faults.flatMap((fault) => fault.killers.map((killer) => jobOf(fault, killer)))
  const fixed = [...unpatchedTests(killers), ...unpatchedBounds(killers)]
  let of = first.length + fixed.length
  const tell = (tried: Tried): void => onTried(tried, ++done, of)
  const tried = await inLanes(first, lanes, tell)
  const seeds = unpatchedSeeds(tried)
  of += seeds.length
  const unpatched = await inLanes([...fixed, ...seeds], lanes, tell)
  return { tried, unpatched, seconds: (performance.now() - began) / 1000 }
}

/** Every fault was noticed by each of its killers, and nothing else was. */
export function isSound({ tried, unpatched }: MutantsResult): boolean {
  return tried.every(({ trial }) => trial?.isKilled === true) && unpatched.every(({ trial }) => trial?.isKilled === false)
}

function killerText(killer: Killer): string {
  if (killer.by === 'seeds') return `simulator, ${killer.mode}`
  if (killer.by === 'test') return `${killer.folder.replace('packages/', '')}/test/${killer.file}: ${killer.test}`
  const { protocol, ballots, values, crashes, isApart } = killer.bounds
  return `explorer, ${protocol}, ${ballots} ballots, ${values} values${crashes > 0 ? `, ${crashes} crash` : ''}${isApart ? ', write and send apart' : ''}`
}

function jobOf({ name }: PlantedFault, killer: Killer): Job {
  return { fault: name, killer: killerText(killer), run: () => attempt(killer, [name]) }
}

function attempt(killer: Killer, faultsPlanted: readonly string[]): Promise<Trial> {
  if (killer.by === 'seeds') return trySeeds(seedsUpTo(killer.mode, killer.seedsMax), faultsPlanted)
  if (killer.by === 'explorer') return tryExplorer(killer.bounds, faultsPlanted)
  return tryTests(killer.folder, killer.file, [killer.test], faultsPlanted)
}

/** The seeds that noticed a fault. */
function unpatchedSeeds(tried: readonly Tried[]): Job[] {
  const seeds = new Map<string, SeedToTry>()
  for (const { trial } of tried) if (trial?.seed !== undefined) seeds.set(`${trial.seed.mode} ${trial.seed.seed}`, trial.seed)
  const all = [...seeds.values()]
  return Array.from({ length: Math.ceil(all.length / seedsAtATime) }, (_, at) => {
    const some = all.slice(at * seedsAtATime, (at + 1) * seedsAtATime)
    return { killer: `simulator, ${some.length} seeds that noticed a fault`, run: () => trySeeds(some, []) }
  })
}

function unpatchedBounds(killers: readonly Killer[]): Job[] {
  const bounds = new Map<string, { readonly text: string; readonly bounds: Bounds }>()
  for (const killer of killers)
    if (killer.by === 'explorer') bounds.set(JSON.stringify(killer.bounds), { text: killerText(killer), bounds: killer.bounds })
  return [...bounds.values()].map(({ text, bounds: of }) => ({
    killer: text,
    run: () => tryExplorer({ ...of, statesMax: unpatchedStatesMax }, []),
  }))
}

/** Those of a file together. */
function unpatchedTests(killers: readonly Killer[]): Job[] {
  const files = new Map<string, { readonly folder: string; readonly file: string; readonly titles: Set<string> }>()
  for (const killer of killers) {
    if (killer.by !== 'test') continue
    const { folder, file, test } = killer
    const key = `${folder}/${file}`
    const of = files.get(key) ?? { folder, file, titles: new Set<string>() }
    files.set(key, { ...of, titles: of.titles.add(test) })
  }
  return [...files.values()].map(({ folder, file, titles }) => ({
    killer: `${folder.replace('packages/', '')}/test/${file}`,
    run: () => tryTests(folder, file, [...titles], []),
  }))
}

/** Answers in the order of the jobs. */
async function inLanes(jobs: readonly Job[], lanes: number, onTried: (tried: Tried) => void): Promise<Tried[]> {
  const results: Tried[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let at = next++; at < jobs.length; at = next++) {
      const tried = await timed(jobs[at]!)
      results[at] = tried
      onTried(tried)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return results
}

async function timed({ fault, killer, run }: Job): Promise<Tried> {
  const began = performance.now()
  const of = fault === undefined ? { killer } : { fault, killer }
  const seconds = (): number => (performance.now() - began) / 1000
  try {
    const trial = await run()
    return { ...of, trial, seconds: seconds() }
  } catch (error) {
    if (!(error instanceof TrialError)) throw error
    return { ...of, error: error.message, seconds: seconds() }
  }
}
