import { readFileSync } from 'node:fs'
import type { WorkOptions } from './bench-plan.ts'
import { processTree } from './processor-time.ts'
import { runRound } from './run-round.ts'
import type { NodeProcess, StoreKey, Target } from './target.ts'

export interface MemoryFigures {
  readonly store: StoreKey
  readonly name: string
  readonly inFlight: number
  readonly seconds: number
  readonly appendsPerSecond: number
  readonly nodes: readonly NodeMemory[]
}

/** Resident bytes of a node's own process. */
export interface NodeMemory {
  readonly id: string
  readonly isLeader: boolean
  readonly mostBytes: number
  /** Means of a tenth of the samples each. */
  readonly middleBytes: number
  readonly endBytes: number
  /** Of its Postgres at the end, shared pages counted once; absent where the system does not say. */
  readonly postgresBytes?: number
}

const inFlight = 256
const samplesCount = 100

/** What the nodes of the first target that has any take while it is under full load; nothing where there is no /proc. */
export async function memoryWork(targets: readonly Target[], { plan, report, signal }: WorkOptions): Promise<MemoryFigures[]> {
  const target = targets.find((one) => one.nodes !== undefined)
  if (target?.nodes === undefined || process.platform !== 'linux') return []
  const nodes = await target.nodes()
  const milliseconds = plan.memoryMilliseconds
  report(`memory: ${target.name}, ${inFlight} in flight for ${milliseconds / 1000} s`)
  const samples = nodes.map((): number[] => [])
  const sample = (): void => nodes.forEach(({ pid }, index) => samples[index]?.push(residentBytes(pid)))
  const sampling = setInterval(sample, milliseconds / samplesCount)
  const { appendsPerSecond } = await runRound(target, { inFlight, milliseconds, signal }).finally(() => clearInterval(sampling))
  sample()
  const { key: store, name } = target
  const memories = nodes.map((node, index) => nodeMemory(node, samples[index] ?? []))
  return [{ store, name, inFlight, seconds: milliseconds / 1000, appendsPerSecond, nodes: memories }]
}

function nodeMemory({ id, isLeader, postgresPid }: NodeProcess, samples: readonly number[]): NodeMemory {
  const postgresBytes = sharedOnceBytes(processTree([postgresPid]))
  return {
    id,
    isLeader,
    mostBytes: Math.max(...samples),
    middleBytes: meanOfTenth(samples, 0.45),
    endBytes: meanOfTenth(samples, 0.9),
    ...(postgresBytes !== undefined && { postgresBytes }),
  }
}

function meanOfTenth(samples: readonly number[], from: number): number {
  const first = Math.floor(samples.length * from)
  const part = samples.slice(first, first + Math.max(1, Math.floor(samples.length / 10)))
  return part.reduce((sum, sample) => sum + sample, 0) / part.length
}

function residentBytes(pid: number): number {
  return kibibytes(`/proc/${pid}/status`, 'VmRSS') ?? 0
}

/** Of those that are still there and may be looked at; undefined if that is none. */
function sharedOnceBytes(pids: readonly number[]): number | undefined {
  const sizes = pids.flatMap((pid) => kibibytes(`/proc/${pid}/smaps_rollup`, 'Pss') ?? [])
  return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0)
}

/** The value of a line such as `VmRSS:   1234 kB`, in bytes. */
function kibibytes(file: string, name: string): number | undefined {
  try {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'latin1'))
    return found === null ? undefined : Number(found[1]) * 1024
  } catch {
    return undefined // the process ended, or it is another user's
  }
}
