export const works = ['append', 'conditional', 'replay', 'live', 'memory'] as const
export type Work = (typeof works)[number]

export interface BenchPlan {
  /** Of each target in each work but `memory`, which has one. The figure is their median. */
  readonly rounds: number
  /** Of appends. */
  readonly roundMilliseconds: number
  /** Of each target before the first round, at the largest load, so that code is compiled and caches are filled; not counted. */
  readonly warmUpMilliseconds: number
  /** Appends in flight, one load each. */
  readonly loads: readonly number[]
  /** What a replay reads. */
  readonly replayEventsCount: number
  readonly liveMilliseconds: number
  readonly liveEventsPerSecond: number
  readonly memoryMilliseconds: number
}

export interface WorkOptions {
  readonly plan: BenchPlan
  /** Progress, for people. */
  readonly report: (message: string) => void
  readonly signal: AbortSignal
}
