export { fuzzDecoder, type FuzzOptions, type FuzzReport } from './fuzz-decoder.ts'
export { hostileBytes } from './hostile-bytes.ts'
