/** What is asked of a stream as a whole. */
import { body, json, operation, parameter, type Schema } from './operation.ts'
import { atLeast, consistency, expected, stream } from './parameters.ts'

const hard = parameter('query', 'hard', 'A tombstone: the name can never be used again.', { type: 'boolean', default: false })
const state = { 200: json('What the stream keeps, and whether it is there.', 'StreamMetadataState') }

export const deleteStream: Schema = operation(
  'deleteStream',
  'Hides all events of a stream; the name can be used again unless `hard`',
  [stream, hard, expected],
  state,
  [400, 403, 404, 409, 413, 503],
)

export const streamPaths: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  '/streams/{stream}/info': {
    get: operation(
      'describeStream',
      'Is it there, how long is it, what is its last event',
      [stream, consistency, atLeast],
      { 200: json('The stream.', 'StreamInfo') },
      [400, 404, 410, 413, 503],
    ),
  },
  '/streams/{stream}/metadata': {
    get: operation('readStreamMetadata', 'What a stream keeps', [stream, consistency], state, [400, 413, 503]),
    put: operation(
      'setStreamMetadata',
      'Replaces what a stream keeps, whole; the stream need not exist yet',
      [stream],
      state,
      [400, 403, 408, 410, 413, 415, 503],
      body({ $ref: '#/components/schemas/StreamMetadata' }),
    ),
  },
}
