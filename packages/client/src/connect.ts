import type { Client } from './client.ts'
import { InvalidArgumentError } from './client-error.ts'
import { EventCodec } from './event-codec.ts'
import { EventStoreClient } from './event-store-client.ts'
import type { EventSchemas, EventType, InputsOf, OutputsOf } from './event-types.ts'
import { toLimits, toNodes, type ConnectOptions, type SchemaOptions } from './options.ts'
import { toWord } from './arguments.ts'

/**
 * A client of a cluster. Nothing is sent before it is first used; one client is enough for a whole process, and has to be closed.
 * With a map of Standard Schemas (zod, valibot, arktype…) events are checked at append and at read, and have their types.
 * @throws InvalidArgumentError
 */
export function connect<S extends EventSchemas>(options: ConnectOptions & SchemaOptions<S>): Client<InputsOf<S>, OutputsOf<S>>
/** The events' types are taken on trust: `connect<CourseEvent>(…)`; without them data is unknown. */
export function connect<E extends EventType = EventType>(options: ConnectOptions): Client<E>
export function connect(options: ConnectOptions & Partial<SchemaOptions<EventSchemas>>): Client {
  if ((globalThis as { readonly WebSocket?: unknown }).WebSocket === undefined) {
    throw new InvalidArgumentError('this platform has no WebSocket: use Node 22.18 or newer, or a browser')
  }
  const { events, parseJson } = options
  if (
    events !== undefined &&
    Object.values(events).some((schema) => (schema as Partial<typeof schema> | undefined)?.['~standard'] === undefined)
  ) {
    throw new InvalidArgumentError(
      'events must be a map of Standard Schemas by type, such as { CourseOpened: z.object({ seats: z.number() }) }',
    )
  }
  if (parseJson !== undefined && typeof parseJson !== 'function') {
    throw new InvalidArgumentError('parseJson must be a function that takes JSON text, such as JSON.parse')
  }
  const codec = new EventCodec(events, toWord(options.undeclared, 'undeclared', ['refuse', 'skip']), parseJson)
  return new EventStoreClient(toNodes(options.nodes), toLimits(options), codec)
}
