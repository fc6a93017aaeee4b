export { readSideConformance, type ReadSideUnderTest } from './read-side-conformance.ts'
