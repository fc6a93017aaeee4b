/** What the operations of the document are made of. */
export type Schema = Readonly<Record<string, unknown>>

const refusals: Readonly<Record<number, string>> = {
  400: 'Says which parameter, header, event or field is wrong, and what is allowed.',
  403: 'A page in a browser asks, and its origin is not listed in `http.origins`.',
  404: 'There is no such stream, or group.',
  408: 'The body, or the whole request, did not come in time.',
  409: 'Nothing was written: a stream is not as expected, an event matches the condition, the ids or the key belong to something else, or the group is another one.',
  410: 'The stream was deleted for ever: `stream_tombstoned`.',
  413: 'A bound of docs/limits.md.',
  415: '`content-encoding` is not `identity`.',
  426: 'What asks is no WebSocket.',
  503: 'No quorum, not ready, or too much under way; with `Retry-After`. For an append that is `unavailable` the outcome may be unknown: the retry is safe.',
}

export function operation(
  operationId: string,
  summary: string,
  parameters: readonly Schema[],
  answers: Readonly<Record<number, object>>,
  refused: readonly number[],
  more: Schema = {},
): Schema {
  return {
    operationId,
    summary,
    parameters,
    ...more,
    responses: {
      ...answers,
      ...Object.fromEntries(refused.map((status) => [status, refusal(status)])),
      default: { $ref: '#/components/responses/Refused' },
    },
  }
}

function refusal(status: number): object {
  const error = { $ref: '#/components/schemas/Error' }
  const told = ['WrongExpectedRevision', 'Violated'].map((name) => ({ $ref: `#/components/schemas/${name}` }))
  const schema = status === 409 ? { anyOf: [...told, error] } : error
  return {
    description: refusals[status] ?? '',
    ...(status === 503 && { headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } } }),
    content: { 'application/json': { schema } },
  }
}

export function json(description: string, schema: string): object {
  return { description, content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } } }
}

/** A body of JSON, whatever `content-type` says. */
export function body(schema: Schema, required = true): Schema {
  return {
    requestBody: { required, description: 'JSON, whatever `content-type` says.', content: { 'application/json': { schema } } },
  }
}

export function parameter(place: 'path' | 'query' | 'header', name: string, description: string, schema: Schema): Schema {
  return { name, in: place, required: place === 'path', description, schema }
}

export function integer(minimum: number): Schema {
  return { type: 'integer', minimum, maximum: Number.MAX_SAFE_INTEGER }
}
