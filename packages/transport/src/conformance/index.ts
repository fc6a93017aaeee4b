export { transportConformance } from './transport-conformance.ts'
export type { TransportConformance, TransportWorld } from './transport-world.ts'
