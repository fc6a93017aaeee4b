export {
  decodeRecord,
  decodeRecordBody,
  encodeRecord,
  isRecord,
  recordIdOffset,
  recordTagsAt,
  recordTypeAt,
  stampRecord,
  type EventContent,
  type EventToRecord,
  type RecordBody,
} from './event-record.ts'
export { drawUuid, formatUuid, parseUuid } from './uuid.ts'
