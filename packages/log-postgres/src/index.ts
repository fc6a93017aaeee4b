export { postgresLogStore, store } from './postgres-log-store.ts'
export type { PostgresLogStoreOptions } from './postgres-log-store-options.ts'
