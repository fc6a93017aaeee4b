export { boundsText, type Bounds } from './bounds.ts'
export { explore, type Exploration, type ExploreOptions, type Progress, type TraceStep } from './explorer.ts'
export { invariantNames } from './invariants.ts'
