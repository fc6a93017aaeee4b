export { readSideConformance } from './read-side-conformance.ts'
export type { ReadSideUnderTest } from './side-under-test.ts'
