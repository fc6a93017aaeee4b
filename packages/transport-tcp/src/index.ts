export { transport } from './tcp-transport.ts'
export type { TcpOptions } from './tcp-options.ts'
