export type { NodeId } from './node-id.ts'
export type { Scheduler } from './scheduler.ts'
export { systemScheduler } from './system-scheduler.ts'
export { TransportError, type Transport, type TransportFactory, type TransportOptions } from './transport.ts'
