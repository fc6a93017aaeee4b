/** `/openapi.json` against the routes, both ways, and against real answers: every status that it names, provoked. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { ConditionFailedError, EventStoreError, WrongExpectedRevisionError, type ParkedEvent } from '@synod/events'
import { nodeConfigSchema, openHttpServer } from '@synod/event-store'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { groupStatus } from '../http/scripted-parts.ts'
import { ScriptedStore, serve, stored, type Served } from '../http/served.ts'

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>
}
interface Document {
  readonly info: { readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

let served: Served
let document: Document
let ajv: Ajv2020
beforeAll(async () => {
  served = await serve({ bodyStallMillisecondsMax: 50 })
  const response = await fetch(`${served.url}/openapi.json`)
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
  document = (await response.json()) as Document
  ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false })
  formats.default(ajv)
  ajv.addVocabulary(['components'])
  ajv.addSchema({ $id: 'openapi', components: document.components })
})
afterAll(() => served?.close())

type Case = readonly [
  operation: string,
  status: number,
  path: string,
  init?: RequestInit | 'stalls' | 'stallsPut' | 'upgrades',
  arrange?: () => void,
]

const fails = (error: Error) => () => {
  served.store.onAppend = () => Promise.reject(error)
  served.store.onRead = () => Promise.reject(error)
  served.store.onAppendAtomically = () => Promise.reject(error)
  served.store.onQuery = () => Promise.reject(error)
  served.store.onStreamInfo = () => Promise.reject(error)
  served.store.retention.onAny = () => Promise.reject(error)
  served.store.groups.onAny = () => Promise.reject(error)
  served.store.onSubscribe = async function* () {
    yield* []
    throw error
  }
}
const away = (): void => {
  served.state = 'unavailable'
}
const body = '[{"type":"A","data":1}]'
const post = { method: 'POST', body }
const tooLarge = fails(new EventStoreError('too_large', 'a name of 513 bytes'))
const gone = fails(new EventStoreError('unavailable', 'no quorum'))
const tombstoned = fails(new EventStoreError('stream_tombstoned', 'it was ended'))
const noStream = fails(new EventStoreError('stream_not_found', 'there is none'))
const noGroup = fails(new EventStoreError('group_not_found', 'there is none'))
const foreign = { headers: { origin: 'https://elsewhere.example' } }
const zipped = { headers: { 'content-encoding': 'gzip' } }
const writes = [{ stream: 'a', events: [{ type: 'A', data: 1 }] }]
const several = { method: 'POST', body: JSON.stringify({ writes }) }
const put = { method: 'PUT', body: '{}' }
const destroy = { method: 'DELETE' }
const violated = [
  { kind: 'revision', stream: 'a', expected: 'noStream', actual: 3 },
  { kind: 'revision', stream: 'b', expected: 4, actual: 'noStream' },
  { kind: 'condition', position: 7 },
] as const
const parked: ParkedEvent = { event: stored, partition: 1, attempts: 10, reason: 'follows' }

const cases: readonly Case[] = [
  ['post /streams/{stream}', 201, '/streams/a', post],
  ['post /streams/{stream}', 400, '/streams/a', { method: 'POST', body: '{}' }],
  ['post /streams/{stream}', 403, '/streams/a', { ...post, headers: { origin: 'https://elsewhere.example' } }],
  ['post /streams/{stream}', 408, '/streams/a', 'stalls'],
  ['post /streams/{stream}', 409, '/streams/a', post, fails(new WrongExpectedRevisionError('a', 7, 'noStream'))],
  ['post /streams/{stream}', 409, '/streams/a', post, fails(new WrongExpectedRevisionError('a', 'noStream', 3))],
  ['post /streams/{stream}', 409, '/streams/a', post, fails(new EventStoreError('event_id_conflict', 'taken'))],
  ['post /streams/{stream}', 410, '/streams/a', post, tombstoned],
  ['post /streams/{stream}', 413, '/streams/a', post, tooLarge],
  ['post /streams/{stream}', 415, '/streams/a', { ...post, headers: { 'content-encoding': 'gzip' } }],
  ['post /streams/{stream}', 503, '/streams/a', post, away],
  ['get /streams/{stream}', 200, '/streams/a'],
  ['get /streams/{stream}', 400, '/streams/a?limit=0'],
  ['get /streams/{stream}', 404, '/streams/a', {}, fails(new EventStoreError('stream_not_found', 'there is none'))],
  ['get /streams/{stream}', 410, '/streams/a', {}, tombstoned],
  ['get /streams/{stream}', 413, '/streams/a', {}, tooLarge],
  ['get /streams/{stream}', 503, '/streams/a', {}, gone],
  ['delete /streams/{stream}', 200, '/streams/a', destroy],
  ['delete /streams/{stream}', 400, '/streams/a?hard=1', destroy],
  ['delete /streams/{stream}', 403, '/streams/a', { ...destroy, ...foreign }],
  ['delete /streams/{stream}', 404, '/streams/a', destroy, noStream],
  ['delete /streams/{stream}', 409, '/streams/a?expected=7', destroy, fails(new WrongExpectedRevisionError('a', 7, 3))],
  ['delete /streams/{stream}', 413, '/streams/a', destroy, tooLarge],
  ['delete /streams/{stream}', 503, '/streams/a', destroy, away],
  ['get /streams/{stream}/info', 200, '/streams/a/info'],
  [
    'get /streams/{stream}/info',
    200,
    '/streams/a/info',
    {},
    () => (served.store.onStreamInfo = async () => ({ stream: 'a', firstRevision: 5, lastRevision: 4, length: 0 })),
  ],
  ['get /streams/{stream}/info', 400, '/streams/a/info?atLeast=x'],
  ['get /streams/{stream}/info', 404, '/streams/a/info', {}, noStream],
  ['get /streams/{stream}/info', 410, '/streams/a/info', {}, tombstoned],
  ['get /streams/{stream}/info', 413, '/streams/a/info', {}, tooLarge],
  ['get /streams/{stream}/info', 503, '/streams/a/info', {}, gone],
  ['get /streams/{stream}/metadata', 200, '/streams/a/metadata'],
  ['get /streams/{stream}/metadata', 400, '/streams/a/metadata?consistency=none'],
  ['get /streams/{stream}/metadata', 413, '/streams/a/metadata', {}, tooLarge],
  ['get /streams/{stream}/metadata', 503, '/streams/a/metadata', {}, away],
  ['put /streams/{stream}/metadata', 200, '/streams/a/metadata', put],
  ['put /streams/{stream}/metadata', 400, '/streams/a/metadata', { ...put, body: '{"maxCount":0}' }],
  ['put /streams/{stream}/metadata', 403, '/streams/a/metadata', { ...put, ...foreign }],
  ['put /streams/{stream}/metadata', 408, '/streams/a/metadata', 'stallsPut'],
  ['put /streams/{stream}/metadata', 410, '/streams/a/metadata', put, tombstoned],
  ['put /streams/{stream}/metadata', 413, '/streams/a/metadata', put, tooLarge],
  ['put /streams/{stream}/metadata', 415, '/streams/a/metadata', { ...put, ...zipped }],
  ['put /streams/{stream}/metadata', 503, '/streams/a/metadata', put, away],
  ['post /append', 201, '/append', several],
  ['post /append', 400, '/append', { method: 'POST', body: '{"writes":[]}' }],
  ['post /append', 400, '/append', several, fails(new EventStoreError('condition_too_broad', 'it scans too much'))],
  ['post /append', 403, '/append', { ...several, ...foreign }],
  ['post /append', 408, '/append', 'stalls'],
  ['post /append', 409, '/append', several, fails(new WrongExpectedRevisionError('a', 'noStream', 3, violated))],
  ['post /append', 409, '/append', several, fails(new ConditionFailedError(7))],
  ['post /append', 409, '/append', several, fails(new EventStoreError('event_id_conflict', 'taken'))],
  ['post /append', 410, '/append', several, tombstoned],
  ['post /append', 413, '/append', several, tooLarge],
  ['post /append', 415, '/append', { ...several, ...zipped }],
  ['post /append', 503, '/append', several, away],
  ['get /groups', 200, '/groups'],
  ['get /groups', 400, '/groups?x=1'],
  ['get /groups', 503, '/groups', {}, gone],
  ['get /groups/{group}', 200, '/groups/g'],
  ['get /groups/{group}', 400, '/groups/g?x=1'],
  ['get /groups/{group}', 404, '/groups/g', {}, noGroup],
  ['get /groups/{group}', 503, '/groups/g', {}, gone],
  ['put /groups/{group}', 200, '/groups/g', put],
  ['put /groups/{group}', 400, '/groups/g', { ...put, body: '{"partitions":0}' }],
  ['put /groups/{group}', 403, '/groups/g', { ...put, ...foreign }],
  ['put /groups/{group}', 408, '/groups/g', 'stallsPut'],
  ['put /groups/{group}', 409, '/groups/g', put, fails(new EventStoreError('group_exists', 'with another filter'))],
  ['put /groups/{group}', 413, '/groups/g', put, tooLarge],
  ['put /groups/{group}', 415, '/groups/g', { ...put, ...zipped }],
  ['put /groups/{group}', 503, '/groups/g', put, away],
  ['delete /groups/{group}', 204, '/groups/g', destroy],
  ['delete /groups/{group}', 400, '/groups/g?x=1', destroy],
  ['delete /groups/{group}', 403, '/groups/g', { ...destroy, ...foreign }],
  ['delete /groups/{group}', 404, '/groups/g', destroy, noGroup],
  ['delete /groups/{group}', 503, '/groups/g', destroy, away],
  ['get /groups/{group}/parked', 200, '/groups/g/parked', {}, () => (served.store.groups.onParked = async () => [parked, parked])],
  ['get /groups/{group}/parked', 400, '/groups/g/parked?limit=257'],
  ['get /groups/{group}/parked', 404, '/groups/g/parked', {}, noGroup],
  ['get /groups/{group}/parked', 503, '/groups/g/parked', {}, gone],
  ['post /groups/{group}/replay', 200, '/groups/g/replay', { method: 'POST' }],
  ['post /groups/{group}/replay', 200, '/groups/g/replay', { method: 'POST', body: '{"positions":[4]}' }],
  ['post /groups/{group}/replay', 400, '/groups/g/replay', { method: 'POST', body: '{"positions":[0]}' }],
  ['post /groups/{group}/replay', 403, '/groups/g/replay', { method: 'POST', ...foreign }],
  ['post /groups/{group}/replay', 404, '/groups/g/replay', { method: 'POST' }, noGroup],
  ['post /groups/{group}/replay', 408, '/groups/g/replay', 'stalls'],
  ['post /groups/{group}/replay', 413, '/groups/g/replay', { method: 'POST' }, tooLarge],
  ['post /groups/{group}/replay', 415, '/groups/g/replay', { method: 'POST', body: '{}', ...zipped }],
  ['post /groups/{group}/replay', 503, '/groups/g/replay', { method: 'POST' }, away],
  ['get /events', 200, '/events'],
  ['get /events', 200, '/events?types=A'],
  ['get /events', 413, '/events?types=A', {}, tooLarge],
  ['get /events', 400, '/events?direction=sideways'],
  ['get /events', 503, '/events', {}, gone],
  ['get /streams/{stream}/subscription', 200, '/streams/a/subscription'],
  ['get /streams/{stream}/subscription', 400, '/streams/a/subscription?from=x'],
  ['get /streams/{stream}/subscription', 410, '/streams/a/subscription', {}, tombstoned],
  ['get /streams/{stream}/subscription', 413, '/streams/a/subscription', {}, tooLarge],
  ['get /streams/{stream}/subscription', 503, '/streams/a/subscription', {}, gone],
  ['get /events/subscription', 200, '/events/subscription'],
  ['get /events/subscription', 400, '/events/subscription', { headers: { 'last-event-id': '-1' } }],
  ['get /events/subscription', 413, '/events/subscription?types=A', {}, tooLarge],
  ['get /events/subscription', 503, '/events/subscription', {}, gone],
  ['get /connection', 101, '/connection', 'upgrades'],
  ['get /connection', 400, '/connection?x=1'],
  ['get /connection', 403, '/connection', { headers: { upgrade: 'websocket', origin: 'https://elsewhere.example' } }],
  ['get /connection', 426, '/connection'],
  ['get /cluster', 200, '/cluster'],
  ['get /cluster', 400, '/cluster?x=1'],
  ['get /node', 200, '/node'],
  ['get /node', 200, '/node', {}, away],
  ['get /node', 400, '/node?x=1'],
  ['get /health/live', 200, '/health/live'],
  ['get /health/live', 400, '/health/live?x=1'],
  ['get /health/ready', 200, '/health/ready'],
  ['get /health/ready', 400, '/health/ready?x=1'],
  ['get /health/ready', 503, '/health/ready', {}, away],
  ['get /metrics', 200, '/metrics'],
  ['get /metrics', 400, '/metrics?x=1'],
  ['get /openapi.json', 200, '/openapi.json'],
  ['get /openapi.json', 400, '/openapi.json?x=1'],
]
/** Those that only a node which stops gives. */
const unprovoked = ['get /connection 503']

describe('the document', () => {
  test('is valid OpenAPI 3.1, and of this version', async () => {
    const validator = new Validator()
    expect(await validator.validate({ ...document })).toMatchObject({ valid: true })
    expect(validator.version).toBe('3.1')
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }
    expect(document.info.version).toBe(manifest.version)
  })

  test('names every route, and nothing else; HEAD goes with GET but for what never ends', async () => {
    const limits = nodeConfigSchema.shape.limits.parse({})
    const logger = pino({ level: 'silent' })
    const server = await openHttpServer({ host: '127.0.0.1', port: 0, limits, logger, node: viewOf(served) })
    await server.close()
    const routed = [...server.routes].map(
      ([url, methods]) => `${url.replaceAll(/:(\w+)/g, '{$1}')} ${methods.filter((method) => method !== 'HEAD').join(' ')}`,
    )
    const documented = Object.entries(document.paths).map(
      ([path, operations]) => `${path} ${Object.keys(operations).toSorted().join(' ').toUpperCase()}`,
    )
    expect(documented.toSorted()).toEqual(routed.toSorted())
    const endless = [...server.routes].filter(([, methods]) => methods.includes('GET') && !methods.includes('HEAD')).map(([url]) => url)
    expect(endless.toSorted()).toEqual(['/connection', '/events/subscription', '/streams/:stream/subscription'])
  })

  test('names each status once here, and each of these there', () => {
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { responses }]) =>
        Object.keys(responses)
          .filter((status) => status !== 'default')
          .map((status) => `${method} ${path} ${status}`),
      ),
    )
    const provoked = new Set(cases.map(([operation, status]) => `${operation} ${status}`))
    expect(documented.toSorted()).toEqual([...provoked, ...unprovoked].toSorted())
  })
})

describe('an answer is as the document says', () => {
  test.each(cases.map((one) => ({ one, name: `${one[0]} ${one[1]}: ${one[2]}` })))('$name', async ({ one }) => {
    const [operation, status, path, how = {}, arrange = () => {}] = one
    Object.assign(served.store, answering())
    served.store.retention.onAny = new ScriptedStore().retention.onAny
    served.store.groups.onAny = async () => groupStatus
    served.state = 'serving'
    arrange()
    const answer =
      how === 'stalls' || how === 'stallsPut'
        ? await stalled(path, how === 'stalls' ? 'POST' : 'PUT')
        : how === 'upgrades'
          ? await upgraded(path)
          : await asked(path, how)
    expect(answer.status).toBe(status)
    const [method = '', template = ''] = operation.split(' ')
    const described = document.paths[template]?.[method]?.responses[status]?.content
    const [[type, { schema }] = ['', { schema: undefined }]] = Object.entries(described ?? {})
    expect(answer.type.split(';')[0]).toBe(type)
    if (type !== 'application/json' || schema === undefined) return
    const text = JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')
    const validate = ajv.compile(JSON.parse(text) as object)
    expect({ valid: validate(JSON.parse(answer.body)), errors: validate.errors, body: answer.body }).toMatchObject({ valid: true })
  })

  test.each([
    ['DELETE', '/events', 405],
    ['HEAD', '/events/subscription', 405],
    ['GET', '/nowhere', 404],
  ])('%s %s is %i, in the form of a refusal', async (method, path, status) => {
    expect((await fetch(served.url + path, { method })).status).toBe(status)
  })
})

/** The store of every case before it is arranged otherwise. */
function answering(): Partial<ScriptedStore> {
  const store = new ScriptedStore()
  const { onAppend, onRead, onAppendAtomically, onQuery, onStreamInfo } = store
  return { onAppend, onRead, onSubscribe: (options) => store.onSubscribe(options), onAppendAtomically, onQuery, onStreamInfo }
}

function viewOf({ store }: Served): Parameters<typeof openHttpServer>[0]['node'] {
  const status = { role: 'leader', leader: 'n1', protocol: '', mode: '', epoch: 1, decidedSlot: 0, appliedSlot: 0, position: 0 } as const
  const common = { id: 'n1', cluster: '', members: [], transport: '', store: () => store, onChange: () => () => {} }
  return { ...common, status: () => ({ state: 'serving', ...status }) }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

async function asked(path: string, init: RequestInit): Promise<Answer> {
  const { upgrade } = (init.headers ?? {}) as Record<string, string>
  // fetch does not send the header Upgrade.
  if (upgrade !== undefined) return raw(path, { headers: { ...(init.headers as Record<string, string>), connection: 'Upgrade' } })
  const response = await fetch(served.url + path, init)
  return { status: response.status, type: response.headers.get('content-type') ?? '', body: await response.text() }
}

/** A body that is announced and does not come. */
function stalled(path: string, method: 'POST' | 'PUT'): Promise<Answer> {
  return raw(path, { method, headers: { 'content-length': 100 } }, '[')
}

function upgraded(path: string): Promise<Answer> {
  const key = Buffer.alloc(16).toString('base64')
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': 13,
    'sec-websocket-key': key,
    'sec-websocket-protocol': 'synod.v1',
  }
  return raw(path, { headers })
}

function raw(path: string, options: object, part?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(served.url + path, options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body: text }))
    })
    sent.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, type: '', body: '' })
    })
    sent.on('error', reject)
    if (part === undefined) sent.end()
    else sent.write(part)
  })
}
