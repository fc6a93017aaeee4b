export { logStoreConformance, type LogStoreConformance, type LogStoreDisk } from './conformance/log-store-conformance.ts'
