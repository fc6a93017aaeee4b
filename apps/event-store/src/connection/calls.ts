/**
 * What is asked for rarely has no message of its own: a method, and its argument as JSON. Everything here is what HTTP does too,
 * by the same parsers and in the same words; docs/client-protocol.md lists it.
 */
import { z } from 'zod'
import { encodeList } from '../http/event-json.ts'
import { expectedShape as expected } from '../http/expected-shape.ts'
import { encodeParked, groupShape, parkedMax, withoutPartitions } from '../http/group-json.ts'
import { invalidArgument, tooLarge } from '../http/http-error.ts'
import { shapedAs } from '../http/json-body.ts'
import { jsonDepth } from '../http/json-members.ts'
import { storeFor } from '../http/read-routes.ts'
import { serving } from '../http/serving.ts'
import { encodeStreamInfo, metadataShape } from '../http/stream-json.ts'
import type { NodeView } from '../node/node-view.ts'

const name = z.string('must be a string')
const count = z.int('must be an integer').min(0, 'must not be negative')
const consistency = z.literal(['linearizable', 'local'], 'must be linearizable or local')

interface Method {
  /** Gives JSON text. @throws HttpError, EventStoreError */
  run(node: NodeView, argument: string, jsonDepthMax: number, signal: AbortSignal): Promise<string>
}

const methods: Readonly<Record<string, Method>> = {
  streamInfo: method(z.strictObject({ stream: name, consistency, atLeast: count.exactOptional() }), async (node, asked, signal) => {
    const { stream, ...sight } = asked
    return String(encodeStreamInfo(await storeFor(node, sight).streamInfo(stream, { ...sight, signal })))
  }),
  streamMetadata: method(z.strictObject({ stream: name, consistency }), async (node, { stream, ...sight }, signal) =>
    JSON.stringify(await storeFor(node, sight).retention.metadata(stream, { ...sight, signal })),
  ),
  setStreamMetadata: method(z.strictObject({ stream: name, metadata: metadataShape }), async (node, { stream, metadata }, signal) =>
    JSON.stringify(await serving(node).retention.setMetadata(stream, metadata, { signal })),
  ),
  deleteStream: method(
    z.strictObject({ stream: name, hard: z.boolean('must be true or false').exactOptional(), expected: expected.exactOptional() }),
    async (node, { stream, hard = false, expected: asked = 'any' }, signal) =>
      JSON.stringify(await serving(node).retention.delete(stream, { isHard: hard, expected: asked, signal })),
  ),
  putGroup: method(z.strictObject({ group: name, definition: groupShape }), async (node, { group, definition }) =>
    JSON.stringify(await serving(node).groups.put(group, definition)),
  ),
  getGroup: method(z.strictObject({ group: name }), async (node, { group }) => JSON.stringify(await serving(node).groups.get(group))),
  listGroups: method(z.strictObject({}), async (node) => JSON.stringify((await serving(node).groups.list()).map(withoutPartitions))),
  deleteGroup: method(z.strictObject({ group: name }), async (node, { group }) => {
    await serving(node).groups.delete(group)
    return 'null'
  }),
  parkedEvents: method(
    z.strictObject({
      group: name,
      after: count.exactOptional(),
      limit: z.int('must be an integer').min(1, 'must be at least 1').max(parkedMax, `must be at most ${parkedMax}`),
    }),
    async (node, { group, ...page }) => String(encodeList('[', encodeParked(await serving(node).groups.parked(group, page)), ']')),
  ),
  replayParked: method(
    z.strictObject({ group: name, positions: z.array(count, 'must be an array of positions').exactOptional() }),
    async (node, { group, ...asked }) => JSON.stringify(await serving(node).groups.replay(group, asked)),
  ),
}

/** A frame takes no more than 16 MiB. */
const resultBytesMax = 12_582_912

/** Gives JSON text. @throws HttpError, EventStoreError */
export async function call(node: NodeView, { method: named, argument }: Asked, jsonDepthMax: number, signal: AbortSignal): Promise<string> {
  const found = Object.hasOwn(methods, named) ? methods[named] : undefined
  if (found === undefined) {
    const known = Object.keys(methods).join(', ')
    throw invalidArgument(`there is no method ${JSON.stringify(named.slice(0, 64))}: allowed are ${known}`)
  }
  const result = await found.run(node, argument, jsonDepthMax, signal)
  // Of what looks only: what changes something answers less.
  if (Buffer.byteLength(result) > resultBytesMax)
    throw tooLarge(`the result is larger than ${resultBytesMax} bytes: ask over HTTP, or for less`)
  return result
}

interface Asked {
  readonly method: string
  readonly argument: string
}

function method<T>(shape: z.ZodType<T>, run: (node: NodeView, argument: T, signal: AbortSignal) => Promise<string>): Method {
  return {
    run: async (node, argument, jsonDepthMax, signal) => run(node, shapedAs(shape, parsed(argument, jsonDepthMax), 'argument'), signal),
  }
}

function parsed(argument: string, jsonDepthMax: number): unknown {
  // A level takes a character at least.
  if (argument.length > jsonDepthMax && jsonDepth(Buffer.from(argument), jsonDepthMax) > jsonDepthMax)
    throw invalidArgument(`the argument nests deeper than ${jsonDepthMax} levels: flatten it`)
  try {
    return JSON.parse(argument)
  } catch (error) {
    throw invalidArgument(`the argument is not JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}
