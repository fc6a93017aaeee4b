export { decodeRecord, encodeRecord, isRecord, recordIdOffset, stampRecord, type EventContent, type EventToRecord } from './event-record.ts'
export { drawUuid, formatUuid, parseUuid } from './uuid.ts'
