/**
 * The fixed surface (docs/http.md) on fastify. It listens from the first moment of a process, so that a node which is starting,
 * wiped or stopping says so itself instead of refusing connections.
 */
import { METHODS, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { HttpLimits } from '../config/node-config.ts'
import { ConnectionServer } from '../connection/connection-server.ts'
import { groupSizes } from '../metrics/group-sizes.ts'
import { NodeMetrics } from '../metrics/node-metrics.ts'
import type { NodeView } from '../node/node-view.ts'
import { appendRoute } from './append-route.ts'
import { atomicAppendRoute } from './atomic-append-route.ts'
import { BytesInFlight } from './bytes-in-flight.ts'
import { clusterRoutes } from './cluster-routes.ts'
import { groupRoutes } from './group-routes.ts'
import { healthRoutes } from './health-routes.ts'
import { HttpError, invalidArgument, unavailable } from './http-error.ts'
import { metricsRoute } from './metrics-route.ts'
import { openapiRoute } from './openapi-route.ts'
import { OpenSubscriptions } from './open-subscriptions.ts'
import { originRefusal } from './origin-check.ts'
import { BodyReader } from './read-body.ts'
import { readRoutes } from './read-routes.ts'
import { streamRoutes } from './stream-routes.ts'
import { subscriptionRoutes } from './subscription-routes.ts'
import { toHttpError } from './to-http-error.ts'

export interface HttpServer {
  /** The port it listens on. */
  readonly port: number
  /** What it answers, by URL as it was declared: the methods, in alphabetical order. */
  readonly routes: ReadonlyMap<string, readonly string[]>
  /** What the clients' connections count and hold; names become metric labels. */
  connections(): Readonly<Record<string, number>>
  /** Takes no more connections, ends subscriptions, lets requests under way finish. Idempotent. */
  close(): Promise<void>
}

export interface HttpServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly node: NodeView
  readonly limits: HttpLimits
  readonly logger: FastifyBaseLogger
  /** Of pages that may write, beside those of this machine: `https://app.example`. Default: none. */
  readonly origins?: readonly string[] | undefined
  /** Default: some of its own. */
  readonly metrics?: NodeMetrics
}

/** How late a request that came too slowly may be noticed; Node's own default is half a minute. */
const connectionsCheckMilliseconds = 2_000
const headersMillisecondsMax = 10_000

/** Longer than any answer takes. */
const closeMillisecondsMax = 5_000

/** @throws what `listen` throws: `EADDRINUSE`, `EACCES`… */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { metrics = new NodeMetrics(options.node), origins = [], node, limits, logger } = options
  const subscriptions = new OpenSubscriptions(limits.subscriptionsMax)
  const bytes = new BytesInFlight(limits.bodyBytesInFlightMax)
  const onRefused = (code: string): void => metrics.refused(code)
  const connections = new ConnectionServer({ node, limits, bytes, subscriptions, logger, onRefused })
  let closing = false
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: true,
    forceCloseConnections: 'idle',
    // Refused by `refuseUnfit`, in this surface's own form.
    return503OnClosing: false,
    requestTimeout: options.limits.requestMillisecondsMax,
    http: {
      connectionsCheckingInterval: connectionsCheckMilliseconds,
      headersTimeout: Math.min(headersMillisecondsMax, options.limits.requestMillisecondsMax),
      requireHostHeader: false,
      // Everything else is a request like any other, whatever it would like to be upgraded to.
      shouldUpgradeCallback: (request) =>
        unfitness(request, closing) === undefined && originRefusal(request, origins) === undefined && connections.accepts(request),
    },
    // A stream's name may be 512 bytes, three characters each when percent-encoded; what is longer is refused by name, not as "no such route".
    routerOptions: { maxParamLength: 16_384, querystringParser: () => ({}) },
    frameworkErrors: (error, _request, reply) => refuse(reply.raw, toHttpError(error) ?? invalidArgument(error.message)),
    clientErrorHandler: onClientError,
  })
  app.server.maxConnections = options.limits.connectionsMax
  app.server.on('checkExpectation', onUnknownExpectation)
  app.server.on('upgrade', (request, socket, head) => connections.upgrade(request, socket, head))
  app.removeAllContentTypeParsers()
  // A body is JSON whatever its type is called; the route itself reads it, counted and within bounds.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler((error, request, reply) => {
    const refusal = toHttpError(error)
    if (refusal === undefined)
      request.log.error({ event: 'requestFailed', err: error, url: request.url }, 'a request failed in a way nobody foresaw')
    refuse(reply.hijack().raw, refusal ?? new HttpError(500, 'internal', 'this node failed to answer: its log says why'))
  })
  app.setNotFoundHandler((request) => {
    throw new HttpError(404, 'not_found', `there is no ${request.method} ${request.url.slice(0, 200)}: see docs/http.md`)
  })
  app.addHook('onRequest', (request, _reply, done) => done(unfitness(request.raw, closing) ?? originRefusal(request.raw, origins)))
  app.addHook('onResponse', (request, reply, done) => {
    metrics.answered(request.method, request.routeOptions.url ?? 'none', reply.raw.statusCode)
    done()
  })
  const routes = register(app, options, { subscriptions, bytes, connections, metrics })
  try {
    await app.listen({ host: options.host, port: options.port, backlog: 1024 })
  } catch (error) {
    await Promise.all([connections.close(), app.close()])
    throw error
  }
  return { port: portOf(app.server), routes, connections: () => connections.counters(), close }

  function refuse(response: ServerResponse<IncomingMessage>, refusal: HttpError): void {
    metrics.refused(refusal.code)
    send(response, refusal)
  }

  async function close(): Promise<void> {
    closing = true
    await Promise.all([connections.close(), closeAll(app, subscriptions)])
  }
}

/** Why a request is refused whatever it asks for. */
function unfitness({ headers, httpVersion }: IncomingMessage, closing: boolean): HttpError | undefined {
  if (closing) return unavailable('this node is stopping: ask another node')
  if (headers.host === undefined && httpVersion === '1.1') return invalidArgument('the header Host is missing: HTTP/1.1 wants one')
  return undefined
}

interface Shared {
  readonly subscriptions: OpenSubscriptions
  readonly bytes: BytesInFlight
  readonly connections: ConnectionServer
  readonly metrics: NodeMetrics
}

function register(
  app: FastifyInstance,
  { node, limits }: HttpServerOptions,
  { subscriptions, bytes, connections, metrics }: Shared,
): ReadonlyMap<string, readonly string[]> {
  const routes = new Map<string, string[]>()
  let isRefusing = false
  app.addHook('onRoute', ({ method, url }) => {
    if (!isRefusing) routes.set(url, [...(routes.get(url) ?? []), ...[method].flat()].toSorted())
  })
  const bodies = new BodyReader(limits, bytes)
  const { bodyBytesInFlightMax, subscriptionsMax, connectionsMax } = limits
  metrics.watchSurface(async () => ({
    http: {
      bodyBytes: bytes.bytes,
      bodyBytesInFlightMax,
      subscriptions: subscriptions.size,
      subscriptionsMax,
      connections: await connectionsOf(app.server),
      connectionsMax,
    },
    clients: connections.counters(),
    groups: await groupSizes(() => node.store()),
  }))
  appendRoute(app, node, limits, bodies)
  atomicAppendRoute(app, node, limits, bodies)
  readRoutes(app, node, limits)
  streamRoutes(app, node, limits, bodies)
  groupRoutes(app, node, limits, bodies)
  subscriptionRoutes(app, node, limits, subscriptions)
  connections.route(app)
  clusterRoutes(app, node)
  healthRoutes(app, node)
  metricsRoute(app, metrics)
  openapiRoute(app)
  // What nobody routes would be "no such route"; every method that Node understands is to be told 405.
  isRefusing = true
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  for (const [url, allowed] of routes) {
    app.route({
      method: app.supportedMethods.filter((method) => !allowed.includes(method)),
      url,
      onRequest: (request) => {
        throw new HttpError(405, 'method_not_allowed', `${request.method} is not possible here: ${allowed.join(', ')}`, { allow: allowed })
      },
      handler: () => undefined,
    })
  }
  return routes
}

async function closeAll(app: FastifyInstance, subscriptions: OpenSubscriptions): Promise<void> {
  subscriptions.endAll()
  // A connection that becomes idle only now would be kept for its client until the keep-alive ends.
  const idle = setInterval(() => app.server.closeIdleConnections(), 20)
  const cut = setTimeout(() => app.server.closeAllConnections(), closeMillisecondsMax)
  try {
    await app.close()
  } finally {
    clearInterval(idle)
    clearTimeout(cut)
  }
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))))
}

function send(response: ServerResponse<IncomingMessage>, error: HttpError): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  const body = JSON.stringify({ code: error.code, message: error.message, ...error.details })
  response.writeHead(error.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(error.status === 503 && { 'retry-after': '1' }),
    ...(error.status === 405 && { allow: String(error.details.allow) }),
    // The rest of its body may still come, or never.
    ...(error.status === 408 && { connection: 'close' }),
  })
  response.end(body)
}

function onUnknownExpectation(request: IncomingMessage, response: ServerResponse<IncomingMessage>): void {
  const expected = JSON.stringify(String(request.headers.expect).slice(0, 64))
  // Whoever expects something may hold the body back until then: this connection would wait for it.
  response.setHeader('connection', 'close')
  send(response, new HttpError(417, 'invalid_argument', `Expect is ${expected}: allowed is 100-continue, or leave the header out`))
}

/** What never became a request: the connection is of no more use. */
function onClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy()
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request']
  const code = status === 431 ? 'too_large' : 'invalid_argument'
  const what = status === 408 ? 'the request did not arrive in time: send it again' : 'not a request of HTTP that this node understands'
  const body = JSON.stringify({ code, message: `${what} (${error.code ?? error.message})` })
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
