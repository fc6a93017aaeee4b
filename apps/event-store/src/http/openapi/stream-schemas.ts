/** Of what streams keep. */
import { position, revision } from './numbers.ts'

const metadata = {
  type: 'object',
  description: 'What is absent asks for nothing.',
  properties: {
    maxCount: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'The newest events that are kept.' },
    maxAgeSeconds: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'Against retention time.' },
    truncateBefore: { ...revision, description: 'Events below this revision are hidden, for ever.' },
    custom: { type: 'object', description: 'The caller’s own.' },
  },
  additionalProperties: false,
}

export const streamSchemas: Readonly<Record<string, object>> = {
  StreamMetadata: metadata,
  StreamMetadataState: {
    type: 'object',
    properties: {
      stream: { type: 'string' },
      metadata: { $ref: '#/components/schemas/StreamMetadata' },
      version: { ...position, description: 'Of the last change, counted from 1; 0 when nothing was ever set.' },
      state: {
        enum: ['absent', 'open', 'deleted', 'tombstoned'],
        description: 'deleted: the name can be used again, revisions go on. tombstoned: never again.',
      },
    },
    required: ['stream', 'metadata', 'version', 'state'],
    additionalProperties: false,
  },
  StreamInfo: {
    type: 'object',
    properties: {
      stream: { type: 'string' },
      firstRevision: { ...revision, description: 'The first that a read gives; one more than the last when all events are hidden.' },
      lastRevision: revision,
      length: { ...position, description: 'Visible events.' },
      lastEvent: { $ref: '#/components/schemas/RecordedEvent', description: 'Absent when no event is visible.' },
    },
    required: ['stream', 'firstRevision', 'lastRevision', 'length'],
    additionalProperties: false,
  },
}
