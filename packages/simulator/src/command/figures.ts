/** What many seeds add up to. */
import type { SeedReport } from './seed-task.ts'
import type { Mode } from '../world/seed-plan.ts'

export interface ModeFigures {
  seeds: number
  simulatedMs: number
  /** Of all threads together. */
  processorMs: number
  operations: number
  slots: number
  twice: number
  /** In the order of seeds done. */
  convergedMs: number[]
  counts: Record<string, number>
}

export type Figures = Partial<Record<Mode, ModeFigures>>

export function add(figures: Figures, report: SeedReport): void {
  const mode = (figures[report.mode] ??= {
    seeds: 0,
    simulatedMs: 0,
    processorMs: 0,
    operations: 0,
    slots: 0,
    twice: 0,
    convergedMs: [],
    counts: {},
  })
  mode.seeds++
  mode.simulatedMs += report.simulatedMs
  mode.processorMs += report.processorMs
  mode.operations += report.operations
  mode.slots += report.slots
  mode.twice += report.runs - 1
  if (report.convergedMs !== undefined) mode.convergedMs.push(Math.round(report.convergedMs))
  for (const [name, count] of Object.entries(report.counts)) mode.counts[name] = (mode.counts[name] ?? 0) + count
}

/** Simulated by processor time: what one core does that has nothing else to do. */
export function ratio({ simulatedMs, processorMs }: ModeFigures): number {
  return simulatedMs / Math.max(1, processorMs)
}

const faults = {
  crash: 'crashes',
  crashInTurn: 'crashes inside a turn',
  crashAll: 'crashes of all',
  stop: 'clean stops',
  pause: 'pauses',
  stall: 'stalled disks',
  slowSyncs: 'slow syncs',
  syncsFailed: 'failed syncs',
  flushesFailed: 'failed flushes',
  writesDropped: 'writes dropped by crashes',
  readSidesSetBack: 'read sides set back',
  wipe: 'wiped disks',
  partition: 'partitions',
  strike: 'partitions around a crash',
  swizzle: 'nodes cut off and back little by little',
  lag: 'nodes that hear late',
  cuts: 'links cut',
  clogs: 'links clogged',
  frames: 'frames',
  framesLost: 'frames lost',
  framesDoubled: 'frames doubled',
  framesVeryLate: 'frames very late',
  framesCut: 'frames at a cut',
} as const

export function figuresText(figures: Figures): string {
  const lines: string[] = []
  for (const [mode, of] of Object.entries(figures)) {
    const converged = of.convergedMs.toSorted((left, right) => left - right)
    const at = (share: number): string => ((converged[Math.floor((converged.length - 1) * share)] ?? 0) / 1000).toFixed(1)
    lines.push(
      `${mode}: ${of.seeds} seeds (${of.twice} of them twice), ${(of.simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${ratio(of).toFixed(0)} times real time a core`,
    )
    lines.push(
      `  operations ${of.operations} (appends answered ${(of.counts['appends appended'] ?? 0) + (of.counts['appends rejected'] ?? 0)}, of unknown fate ${of.counts['appends unknown'] ?? 0}, retries ${of.counts['retries'] ?? 0}; reads ${of.counts['reads answered'] ?? 0}), slots ${of.slots}, subscription messages ${of.counts['subscription messages'] ?? 0}`,
    )
    const { counts } = of
    lines.push(
      `  boundaries: appends to several streams ${counts['atomic appends appended'] ?? 0}, refused ${counts['atomic appends refused'] ?? 0}, of unknown fate ${counts['atomic appends unknown'] ?? 0}; queries ${counts['queries answered'] ?? 0}; deliveries to groups ${counts['group deliveries'] ?? 0}`,
      `  retention: changes ${counts['changes of retention answered'] ?? 0}; looks ${counts['looks at what is kept'] ?? 0}; hidden events ${counts['hidden events'] ?? 0}; pieces given back ${counts['pieces given back'] ?? 0}, slots ${counts['slots given back'] ?? 0}`,
    )
    lines.push(
      `  through the specification: ${of.counts['specification events'] ?? 0} events, ${of.counts['specification steps'] ?? 0} steps of the model`,
    )
    lines.push(`  a healed quorum served after ${at(0.5)} s (median), ${at(0.99)} s (p99), ${at(1)} s (most)`)
    lines.push(
      `  ${Object.entries(faults)
        .map(([name, text]) => `${text} ${of.counts[name] ?? 0}`)
        .join(' · ')}`,
    )
  }
  return lines.join('\n')
}
