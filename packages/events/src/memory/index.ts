export {
  memoryReadSide,
  memoryReadSideStorage,
  readSide,
  type MemoryReadSideOptions,
  type MemoryReadSideStorage,
} from './memory-read-side.ts'
