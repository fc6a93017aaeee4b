/**
 * A node's configuration: what the file holds, after the environment and the command's options were laid over it.
 * docs/config.md is its page for people.
 */
import { z } from 'zod'

const packageName = z.string().min(1).max(214)
const pluggable = z.strictObject({
  /** A package's name, or a path that begins with `.` or `/`, relative to the config file. */
  package: packageName,
  /** The package's own; it validates them itself. */
  options: z.record(z.string(), z.unknown()).default({}),
})
const hex32 = z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits in lower case')
const nodeId = z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 characters of a-z, 0-9 and -')
const port = z.int().min(1).max(65_535)
const origin = z.string().refine((text) => URL.parse(text)?.origin === text, 'must be an origin, such as https://app.example')

const peer = z.strictObject({
  /** Where its transport listens, in the transport's own form (`host:port` for TCP). */
  address: z.string().min(1).max(256),
  /** Where its HTTP is. */
  url: z.url({ protocol: /^https?$/ }),
  /** One life of its storage; `init` writes it into the store. */
  incarnation: hex32.optional(),
})

const limits = z.strictObject({
  /** Bytes of one request's body; beyond: 413 `too_large`. */
  bodyBytesMax: z.int().min(1024).max(67_108_864).default(8_388_608),
  /** Bytes that have arrived of all bodies being read or appended; beyond: 503 `busy`. */
  bodyBytesInFlightMax: z.int().min(1024).default(268_435_456),
  /** A body of which nothing comes for so long gets 408, and its connection is closed. */
  bodyStallMillisecondsMax: z.int().min(10).default(10_000),
  /** A request that has not come as a whole by then gets 408, and its connection is closed. */
  requestMillisecondsMax: z.int().min(1_000).default(30_000),
  /** Nesting of a body's JSON; beyond: 400. */
  jsonDepthMax: z.int().min(4).max(10_000).default(256),
  /** Subscriptions at a time; beyond: 503 `busy`. */
  subscriptionsMax: z.int().min(1).default(10_000),
  /** A subscriber that takes nothing for so long is dropped. */
  subscriberStallMillisecondsMax: z.int().min(10).default(30_000),
  /** An append or a read that has no answer by then gets 503 `unavailable`. */
  answerMillisecondsMax: z.int().min(100).max(3_900).default(3_500),
  /** Appends, reads and subscriptions open on one client's connection; beyond: `busy`. */
  connectionRequestsMax: z.int().min(1).default(4_096),
  /** Of these, subscriptions; beyond: `busy`. */
  connectionSubscriptionsMax: z.int().min(1).default(1_024),
  /** Bytes that wait to be sent on one client's connection: beyond, its reads and subscriptions wait; at twice that nothing more is taken from it. */
  connectionSendBytesMax: z.int().min(1024).default(1_048_576),
  /** The same on all connections: beyond, the one is dropped that has taken nothing for the longest time. */
  sendBytesMax: z.int().min(1024).default(268_435_456),
  /** A client of which nothing is heard for so long, though it is pinged, is dropped. */
  connectionSilenceMillisecondsMax: z.int().min(100).default(15_000),
  /** TCP connections at a time; beyond, new ones are closed at once. */
  connectionsMax: z.int().min(1).default(12_000),
})

export const nodeConfigSchema = z.strictObject({
  id: nodeId,
  /** The cluster's id: a store of another cluster is refused. */
  cluster: hex32,
  /** Every member by its id, this node included. */
  peers: z.record(nodeId, peer),
  http: z.strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    port,
    /** Of pages in browsers that may write, beside those that this machine serves. */
    origins: z.array(origin).max(100).optional(),
  }),
  consensus: pluggable.default({ package: '@synod/consensus-paxos', options: { mode: 'multi' } }),
  transport: pluggable,
  store: pluggable,
  readSide: pluggable,
  limits: limits.prefault({}),
})

export type NodeConfig = z.infer<typeof nodeConfigSchema>
export type HttpLimits = NodeConfig['limits']
export type PackageConfig = z.infer<typeof pluggable>
