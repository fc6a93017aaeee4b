export { transport } from './nats-transport.ts'
export type { NatsOptions } from './nats-options.ts'
