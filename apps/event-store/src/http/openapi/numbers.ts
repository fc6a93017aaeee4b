/** Numbers that the document names again and again. */
export const revision = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Place in its stream, from 0.' }
export const position = {
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Place among all events, from 1, dense.',
}
