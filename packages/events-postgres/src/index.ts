export { postgresReadSide, readSide } from './postgres-read-side.ts'
export type { PostgresReadSideOptions } from './postgres-read-side-options.ts'
