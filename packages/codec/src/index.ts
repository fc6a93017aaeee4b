export { ByteReader } from './byte-reader.ts'
export { ByteWriter } from './byte-writer.ts'
export { MalformedError } from './malformed-error.ts'
export { bytesEqual, bytesToHex, hexToBytes, type Bytes } from './bytes.ts'
