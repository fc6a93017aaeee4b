export { readSideConformance } from './read-side-conformance.ts'
export { positionsOf, type ReadSideUnderTest } from './side-under-test.ts'
