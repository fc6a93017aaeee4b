/**
 * Server-sent events. A message is written when the one before has gone: the store's iterator is pulled, so a slow reader costs
 * a socket's buffers and one page, and one that never reads is dropped after a while; it resumes with Last-Event-ID.
 */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SubscribeOptions, SubscriptionMessage } from '@synod/events'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { encodeEvent } from './event-json.ts'
import { filterOf, filterParameters } from './filter-query.ts'
import { invalidArgument } from './http-error.ts'
import type { OpenSubscriptions } from './open-subscriptions.ts'
import { integerOf, parseQuery, toInteger } from './query.ts'

/** Below a second, so that no second of silence passes without a comment line. */
const commentMilliseconds = 800
/** A subscription that is refused is refused by then, mostly: with a status, not with an empty stream. */
const refusalMilliseconds = 250

/** `GET /streams/{stream}/subscription?from` and `GET /events/subscription?from`, the latter with filters. */
export function subscriptionRoutes(app: FastifyInstance, node: NodeView, limits: HttpLimits, subscriptions: OpenSubscriptions): void {
  const follow = async (request: FastifyRequest, reply: FastifyReply, stream?: string): Promise<void> => {
    const options = { ...wishOf(request, stream === undefined ? filterParameters : []), ...(stream !== undefined && { stream }) }
    const store = node.store()
    const controller = subscriptions.open()
    reply.raw.once('close', () => subscriptions.close(controller))
    const messages = store.subscribe({ ...options, signal: controller.signal })[Symbol.asyncIterator]()
    try {
      const first = messages.next()
      await notRefused(first)
      reply.hijack()
      await write(reply.raw, messages, first, controller, limits.subscriberStallMillisecondsMax)
    } catch (error) {
      if (!reply.sent) throw error
      // The head is out already: the connection ends, and the client resumes with Last-Event-ID.
      if (!controller.signal.aborted) request.log.warn({ event: 'subscriptionFailed', err: error }, 'a subscription ended with an error')
    } finally {
      controller.abort()
      await messages.return?.()
      if (reply.sent) reply.raw.end()
    }
  }
  // HEAD of what never ends is not possible.
  const only = { exposeHeadRoute: false }
  app.get<{ Params: { stream: string } }>('/streams/:stream/subscription', only, (request, reply) =>
    follow(request, reply, request.params.stream),
  )
  app.get('/events/subscription', only, (request, reply) => follow(request, reply))
}

/** Where to begin, and what to pass over. */
function wishOf(request: FastifyRequest, filters: readonly string[]): SubscribeOptions {
  const query = parseQuery(request.raw.url ?? '', ['from', ...filters], filters)
  const from = integerOf(query, 'from', 0)
  const filter = filterOf(query)
  const filtered = filter === undefined ? {} : { filter }
  const last = request.headers['last-event-id']
  if (last !== undefined && last !== '') {
    if (typeof last !== 'string') throw invalidArgument('Last-Event-ID must be one value')
    return { ...filtered, afterPosition: toInteger(last, 'Last-Event-ID', 0, Number.MAX_SAFE_INTEGER) }
  }
  return from === undefined ? filtered : { ...filtered, from }
}

async function notRefused(first: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise((resolve) => (timer = setTimeout(resolve, refusalMilliseconds)))
  try {
    await Promise.race([first, patience])
  } finally {
    clearTimeout(timer)
  }
}

async function write(
  response: ServerResponse,
  messages: AsyncIterator<SubscriptionMessage>,
  first: Promise<IteratorResult<SubscriptionMessage>>,
  controller: AbortController,
  stallMilliseconds: number,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
  response.write(': subscribed\n\n')
  // A reader that takes nothing gets no comments on top: they would pile up behind what it does not take.
  const comments = setInterval(() => response.writableNeedDrain || response.write(':\n\n'), commentMilliseconds)
  try {
    for (let result = await first; result.done !== true; result = await messages.next()) {
      if (controller.signal.aborted) return
      comments.refresh()
      if (!response.write(encodeMessage(result.value))) await drained(response, controller, stallMilliseconds)
    }
  } finally {
    clearInterval(comments)
  }
}

async function drained(response: ServerResponse, controller: AbortController, milliseconds: number): Promise<void> {
  const timer = setTimeout(() => response.destroy(), milliseconds)
  try {
    await once(response, 'drain', { signal: controller.signal })
  } finally {
    clearTimeout(timer)
  }
}

function encodeMessage(message: SubscriptionMessage): Buffer {
  if (message.kind === 'events') {
    return Buffer.concat(
      message.events.flatMap((event) => [
        Buffer.from(`id: ${event.position}\nevent: event\ndata: `),
        encodeEvent(event),
        Buffer.from('\n\n'),
      ]),
    )
  }
  const { kind, ...data } = message
  return Buffer.from(`id: ${message.position}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`)
}
