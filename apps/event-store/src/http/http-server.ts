/**
 * The fixed surface (docs/http.md) on fastify. It listens from the first moment of a process, so that a node which is starting,
 * wiped or stopping says so itself instead of refusing connections.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance, type HTTPMethods } from 'fastify'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { appendRoute } from './append-route.ts'
import { clusterRoutes } from './cluster-routes.ts'
import { healthRoutes } from './health-routes.ts'
import { HttpError, invalidArgument } from './http-error.ts'
import { readRoutes } from './read-routes.ts'
import { Subscriptions, subscriptionRoutes } from './subscription-routes.ts'
import { toHttpError } from './to-http-error.ts'

export interface HttpServer {
  /** The port it listens on. */
  readonly port: number
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
}

const urls: Readonly<Record<string, HTTPMethods[]>> = {
  '/streams/:stream': ['GET', 'POST'],
  '/streams/:stream/subscription': ['GET'],
  '/events': ['GET'],
  '/events/subscription': ['GET'],
  '/cluster': ['GET'],
  '/node': ['GET'],
  '/health/live': ['GET'],
  '/health/ready': ['GET'],
}
const methods: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

/** Longer than any answer takes. */
const closeMillisecondsMax = 5_000

/** @throws what `listen` throws: `EADDRINUSE`, `EACCES`… */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const subscriptions = new Subscriptions()
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    requestTimeout: 30_000,
    // A stream's name may be 512 bytes, three characters each when percent-encoded; what is longer is refused by name, not as "no such route".
    routerOptions: { maxParamLength: 16_384, querystringParser: () => ({}) },
    frameworkErrors: (error, _request, reply) => send(reply.raw, toHttpError(error) ?? invalidArgument(error.message)),
    clientErrorHandler: onClientError,
  })
  app.server.maxConnections = options.limits.connectionsMax
  app.removeAllContentTypeParsers()
  // A body is JSON whatever its type is called; the route itself reads it, counted and within bounds.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler((error, request, reply) => {
    const refusal = toHttpError(error)
    if (refusal === undefined) request.log.error({ err: error, url: request.url }, 'a request failed in a way nobody foresaw')
    send(reply.hijack().raw, refusal ?? new HttpError(500, 'internal', 'this node failed to answer: its log says why'))
  })
  app.setNotFoundHandler((request) => {
    throw new HttpError(404, 'not_found', `there is no ${request.method} ${request.url.slice(0, 200)}: see docs/http.md`)
  })
  register(app, options, subscriptions)
  try {
    await app.listen({ host: options.host, port: options.port, backlog: 1024 })
  } catch (error) {
    await app.close()
    throw error
  }
  return { port: portOf(app.server), close: () => closeAll(app, subscriptions) }
}

function register(app: FastifyInstance, { node, limits }: HttpServerOptions, subscriptions: Subscriptions): void {
  appendRoute(app, node, limits)
  readRoutes(app, node, limits)
  subscriptionRoutes(app, node, limits, subscriptions)
  clusterRoutes(app, node)
  healthRoutes(app, node)
  for (const [url, allowed] of Object.entries(urls)) {
    app.route({
      method: methods.filter((method) => !allowed.includes(method)),
      url,
      onRequest: (request) => {
        throw new HttpError(405, 'method_not_allowed', `${request.method} is not possible here: ${allowed.join(', ')}`, { allow: allowed })
      },
      handler: () => undefined,
    })
  }
}

async function closeAll(app: FastifyInstance, subscriptions: Subscriptions): Promise<void> {
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

function send(response: ServerResponse<IncomingMessage>, error: HttpError): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  const body = JSON.stringify({ code: error.code, message: error.message, ...error.details })
  response.writeHead(error.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(error.status === 503 && { 'retry-after': '1' }),
    ...(error.status === 405 && { allow: String(error.details.allow) }),
  })
  response.end(body)
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
  const body = JSON.stringify({ code, message: `not a request of HTTP that this node understands (${error.code ?? error.message})` })
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
