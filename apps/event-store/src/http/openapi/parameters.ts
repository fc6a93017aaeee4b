/** Parameters that several operations have. */
import { integer, parameter } from './operation.ts'

export const stream = parameter('path', 'stream', 'Percent-encoded.', { type: 'string', minLength: 1 })
export const direction = parameter('query', 'direction', 'Backward without `from` begins at the end.', {
  type: 'string',
  enum: ['forward', 'backward'],
  default: 'forward',
})
export const limit = parameter('query', 'limit', 'Events at most.', { type: 'integer', minimum: 1, maximum: 4096, default: 256 })
export const consistency = parameter('query', 'consistency', '`local` answers from what this node has.', {
  type: 'string',
  enum: ['linearizable', 'local'],
  default: 'linearizable',
})
export const lastEventId = parameter('header', 'Last-Event-ID', 'Resume after this position; wins over `from`.', integer(0))
export const expected = parameter('query', 'expected', 'What the stream must be like: the number is its last revision.', {
  oneOf: [{ type: 'string', enum: ['any', 'noStream', 'streamExists'] }, integer(0)],
  default: 'any',
})
export const idempotencyKey = parameter('header', 'Idempotency-Key', 'A retry with it has one effect and gets the original answer.', {
  type: 'string',
  minLength: 1,
})
export const fromRevision = parameter('query', 'from', 'A revision, inclusive.', integer(0))
export const fromPosition = parameter('query', 'from', 'A position, inclusive; 0 and 1 are the start.', integer(0))
export const atLeast = parameter('query', 'atLeast', 'The node answers when it has applied this position.', integer(0))
export const group = parameter('path', 'group', 'Percent-encoded.', { type: 'string', minLength: 1 })

const listed = (name: string, description: string): ReturnType<typeof parameter> =>
  parameter('query', name, `${description} Commas separate; each value is percent-encoded first.`, { type: 'string', minLength: 1 })

/** All that are given must hold. */
export const filters = [
  listed('types', 'The event’s type is one of these.'),
  listed('tags', 'The event has all of these.'),
  listed('prefix', 'The stream’s name begins with one of these.'),
  listed('category', 'The part of the stream’s name before the first `-` is one of these.'),
]
