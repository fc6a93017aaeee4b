export { runSeeds, type RunSeedsOptions } from './command/run-seeds.ts'
export { runSeed, type SeedOptions, type SeedResult } from './run-seed.ts'
export type { Mode, SeedPlan } from './world/seed-plan.ts'
export { traceText, type TraceLine } from './world/trace.ts'
