/** All keys are always there, and no others. */
export function exactly(properties: Readonly<Record<string, object>>, description?: string): object {
  return {
    type: 'object',
    ...(description !== undefined && { description }),
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  }
}
