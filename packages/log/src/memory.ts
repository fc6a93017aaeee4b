export { MemoryDisk } from './memory-disk.ts'
export { memoryLogStore, type MemoryLogStoreOptions } from './memory-log-store.ts'
