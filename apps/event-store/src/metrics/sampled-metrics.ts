/**
 * Metrics that are read when somebody asks for them, so that they cost nothing between two scrapes. Most are a number that a
 * package counts for itself: `counter` names it. What no line here names is shown all the same, as `synod_package_number`.
 * docs/metrics.md lists them; a test holds the two against each other.
 */
import type { NodeCounters } from '../compose-node.ts'
import { boundedThings } from './bounded-things.ts'
import type { Counting, Sample } from './metrics-source.ts'

type Labels = Readonly<Record<string, string>>

export interface SampledMetric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labels: readonly string[]
  /** None: the metric has no value yet. */
  readonly read: (sample: Sample) => readonly (readonly [Labels, number])[]
  /** The package's counters that it shows. */
  readonly shows: readonly (readonly [Counting, string])[]
}

const states = ['starting', 'serving', 'catchingUp', 'unavailable', 'wiped', 'foreign', 'stopping', 'stopped'] as const
const roles = ['leader', 'follower', 'replica'] as const

const milli = 0.001

const named: readonly SampledMetric[] = [
  gauge('synod_info', 'Always 1: what this node is.', ['node', 'cluster', 'protocol', 'mode', 'transport'], ({ source, status }) => [
    [{ node: source.id, cluster: source.cluster, protocol: status.protocol, mode: status.mode, transport: source.transport }, 1],
  ]),
  gauge('synod_state', '1 for the state that this node is in, 0 for the others.', ['state'], ({ status }) =>
    states.map((state) => [{ state }, Number(status.state === state)]),
  ),
  gauge('synod_role', '1 for the role that this node has, 0 for the others.', ['role'], ({ status }) =>
    roles.map((role) => [{ role }, Number(status.role === role)]),
  ),
  gauge('synod_leader_known', '1 when this node knows a leader, or the protocol has none.', [], ({ status }) =>
    one(Number(status.leader !== null || status.role === 'replica')),
  ),
  gauge('synod_epoch', 'The configuration in force; 0 in a node that takes no part.', [], ({ status }) => one(status.epoch)),
  gauge('synod_decided_slot', 'The highest slot known to be decided.', [], ({ status }) => one(status.decidedSlot)),
  gauge('synod_applied_slot', 'Every slot up to this one is applied here.', [], ({ status }) => one(status.appliedSlot)),
  gauge('synod_slots_behind', 'Slots known to be decided and not applied here.', [], ({ status }) =>
    one(Math.max(0, status.decidedSlot - status.appliedSlot)),
  ),
  gauge('synod_position', 'The position of the last event applied here.', [], ({ status }) => one(status.position)),
  counter('synod_elections_total', 'How often this node stood for leader.', 'log', 'elections'),
  counter('synod_commands_proposed_total', 'Commands that this node took for the log.', 'log', 'proposed'),
  counter(
    'synod_commands_offered_again_total',
    'Commands offered once more, after a leader was lost or refused them.',
    'log',
    'offeredAgain',
  ),
  counter('synod_reads_total', 'Linearizable reads that asked the log how far to see.', 'log', 'reads'),
  counter('synod_read_rounds_total', 'Rounds in which a quorum confirmed reads: many reads share one.', 'log', 'barriers'),
  gauge('synod_sessions', 'Sessions that the log remembers.', [], ofCounter('log', 'sessions'), [['log', 'sessions']]),
  gauge('synod_idempotency_keys', 'Idempotency keys remembered.', [], ofCounter('machine', 'idempotencyKeys'), [
    ['machine', 'idempotencyKeys'],
  ]),
  gauge('synod_streams', 'Streams that have events.', [], ofCounter('machine', 'streams'), [['machine', 'streams']]),
  gauge('synod_groups', 'Consumer groups.', [], ofCounter('events', 'groups'), [['events', 'groups']]),
  gauge('synod_group_lag_events', 'Positions that the group has not settled yet, matching or not.', ['group'], ofGroups('lag')),
  gauge('synod_group_parked_events', 'Events that the group has set aside.', ['group'], ofGroups('parked')),
  gauge('synod_group_consumers', 'Consumers of the group, at all nodes.', ['group'], ofGroups('consumers')),
  gauge('synod_subscriptions', 'Subscriptions open at this node.', [], ofCounter('http', 'subscriptions')),
  gauge('synod_client_connections', 'Connections of clients, open.', [], ofCounter('clients', 'connections'), [['clients', 'connections']]),
  counter('synod_client_connections_opened_total', 'Connections of clients, opened.', 'clients', 'opened'),
  {
    name: 'synod_client_connections_ended_total',
    help: 'Connections of clients that this node ended, by why.',
    type: 'counter',
    labels: ['why'],
    read: ({ counters: { clients } }) =>
      entries(clients)
        .filter(([name]) => name.endsWith('Ended'))
        .map(([name, value]) => [{ why: name.slice(0, -'Ended'.length) }, value]),
    shows: [],
  },
  counter('synod_client_frames_received_total', 'Frames of clients.', 'clients', 'framesIn'),
  counter('synod_client_frames_sent_total', 'Frames to clients.', 'clients', 'framesOut'),
  gauge(
    'synod_read_side_lag_events',
    'Events applied and not yet in the read side (its rows: refused appends count one).',
    [],
    ofCounter('machine', 'unflushedEvents'),
  ),
  gauge('synod_read_side_lag_bytes', 'The same in bytes of their slots.', [], ofCounter('machine', 'unflushedBytes')),
  counter('synod_read_side_flushes_total', 'Transactions that brought the read side up to date.', 'machine', 'flushes'),
  counter('synod_read_side_flushed_events_total', 'Events that they held.', 'machine', 'flushedEvents'),
  counter('synod_read_side_flush_seconds_total', 'Time that they took, together.', 'machine', 'read_side_flush_ms', milli),
  counter('synod_store_writes_total', 'Writes of the log that are durable.', 'store', 'writes'),
  counter('synod_store_written_rows_total', 'Rows that they wrote.', 'store', 'rows_written'),
  counter('synod_store_written_bytes_total', 'Bytes of entries, headers and values that they wrote.', 'store', 'bytes_written'),
  counter('synod_store_reconnects_total', 'Connections to the store that were lost and made again.', 'store', 'reconnects'),
  counter('synod_store_unknown_commits_total', 'Transactions without an answer, which were asked about.', 'store', 'unknown_commits'),
  gauge(
    'synod_store_commit_under_way_seconds',
    'How long the transaction under way has taken so far; 0 when there is none.',
    [],
    ofCounter('store', 'commit_under_way_ms', milli),
    [['store', 'commit_under_way_ms']],
  ),
  gauge(
    'synod_store_bytes',
    'What the log occupies in the database, measured at most every ten seconds.',
    [],
    ofCounter('store', 'storage_bytes'),
    [['store', 'storage_bytes']],
  ),
  byPeer('synod_transport_frames_sent_total', 'Frames handed to the transport and not dropped there.', 'framesSent'),
  byPeer('synod_transport_frames_received_total', 'Frames received.', 'framesReceived'),
  byPeer('synod_transport_sent_bytes_total', 'Bytes written to peers.', 'bytesSent'),
  byPeer('synod_transport_received_bytes_total', 'Bytes read from peers.', 'bytesReceived'),
  {
    name: 'synod_transport_frames_dropped_total',
    help: 'Frames that the transport dropped, by reason; peer is empty where it is not known.',
    type: 'counter',
    labels: ['peer', 'reason'],
    read: ({ counters: { transport, peers } }) => droppedFrames(transport, peers),
    shows: [],
  },
  gauge('synod_transport_linked', '1 when this node can send to the peer, as far as it knows.', ['peer'], ofPeers('linked')),
  gauge('synod_transport_queue_bytes', 'What waits for the peer.', ['peer'], ofPeers('queueBytes')),
  gauge('synod_transport_queue_bytes_max', 'Beyond it the newest frames to the peer are dropped.', ['peer'], ofPeers('queueBytesMax')),
  {
    name: 'synod_frames_refused_total',
    help: 'Frames of strangers, of an earlier boot, malformed: dropped before anybody acts on them, by reason.',
    type: 'counter',
    labels: ['reason'],
    read: ({ counters: { log } }) =>
      entries(log)
        .filter(([name]) => name.startsWith('dropped_'))
        .map(([name, value]) => [{ reason: name.slice('dropped_'.length) }, value]),
    shows: [],
  },
  {
    name: 'synod_catch_up_requests_total',
    help: 'Requests for what a node missed: sent by this one, served to others, and not served.',
    type: 'counter',
    labels: ['what'],
    read: ({ counters: { log } }) =>
      (['fetchesSent', 'fetchesServed', 'fetchesFailed'] as const).flatMap((name) => {
        const value = log[name]
        return value === undefined ? [] : [[{ what: name.slice('fetches'.length).toLowerCase() }, value] as const]
      }),
    shows: [
      ['log', 'fetchesSent'],
      ['log', 'fetchesServed'],
      ['log', 'fetchesFailed'],
    ],
  },
  counter('synod_catch_up_slots_total', 'Slots that this node had missed and got from peers.', 'log', 'entriesFetched'),
  {
    name: 'synod_consensus_events_total',
    help: 'What the protocol tells of itself, by its own names: rounds, ballots, windows that are full.',
    type: 'counter',
    labels: ['event'],
    read: ({ counters: { log } }) =>
      entries(log)
        .filter(([name]) => name.startsWith('core_'))
        .map(([name, value]) => [{ event: name.slice('core_'.length) }, value]),
    shows: [],
  },
  ...boundedMetrics('items', 'How many', 'of them'),
  ...boundedMetrics('bytes', 'How many bytes', 'in bytes'),
]

const shown = new Set(
  [
    ...named.flatMap(({ shows }) => shows),
    ...boundedThings.flatMap(({ from, now, max }) => [[from, now] as const, [from, max] as const]),
  ].map(([from, name]) => `${from} ${name}`),
)

/** In the order of docs/metrics.md. */
export const sampledMetrics: readonly SampledMetric[] = [
  ...named,
  gauge(
    'synod_package_number',
    'Every other number that a package counts for itself, by its own name; whether it only grows is the package’s.',
    ['package', 'name'],
    ({ counters }) =>
      (['log', 'store', 'transport', 'machine', 'events', 'http', 'clients'] as const).flatMap((from) =>
        entries(counters[from])
          .filter(([name]) => !isShown(from, name))
          .map(([name, value]) => [{ package: from, name }, value] as const),
      ),
  ),
]

function isShown(from: Counting, name: string): boolean {
  if (from === 'log' && (name.startsWith('dropped_') || name.startsWith('core_'))) return true
  if (from === 'clients' && name.endsWith('Ended')) return true
  if (from === 'transport' && (name.startsWith('dropped') || /^(frames|bytes)(Sent|Received)$/.test(name))) return true
  return shown.has(`${from} ${name}`)
}

function gauge(
  name: string,
  help: string,
  labels: readonly string[],
  read: SampledMetric['read'],
  shows: SampledMetric['shows'] = [],
): SampledMetric {
  return { name, help, type: 'gauge', labels, read, shows }
}

function counter(name: string, help: string, from: Counting, counted: string, scale = 1): SampledMetric {
  return { name, help, type: 'counter', labels: [], read: ofCounter(from, counted, scale), shows: [[from, counted]] }
}

function byPeer(name: string, help: string, counted: string): SampledMetric {
  return {
    name,
    help: `${help} peer is empty where the transport does not tell by peer.`,
    type: 'counter',
    labels: ['peer'],
    read: ({ counters: { transport, peers } }) => {
      if (peers.size > 0) return [...peers].map(([peer, counters]) => [{ peer }, counters[counted] ?? 0])
      const value = transport[counted]
      return value === undefined ? [] : [[{ peer: '' }, value]]
    },
    shows: [],
  }
}

/** A transport counts some by peer and some (a frame that nobody listens for) only in all. */
function droppedFrames(transport: NodeCounters['transport'], peers: NodeCounters['peers']): [Labels, number][] {
  const found: [Labels, number][] = []
  for (const [name, all] of entries(transport)) {
    if (!name.startsWith('dropped')) continue
    const reason = name.charAt('dropped'.length).toLowerCase() + name.slice('dropped'.length + 1)
    let told = false
    for (const [peer, counters] of peers) {
      const value = counters[name]
      if (value === undefined) continue
      told = true
      found.push([{ peer, reason }, value])
    }
    if (!told) found.push([{ peer: '', reason }, all])
  }
  return found
}

function boundedMetrics(unit: 'items' | 'bytes', howMany: string, ofBound: string): SampledMetric[] {
  const things = boundedThings.filter((thing) => thing.unit === unit)
  const read =
    (which: 'now' | 'max') =>
    ({ counters }: Sample) =>
      things.flatMap(({ what, from, [which]: name }) => {
        const value = counters[from][name]
        return value === undefined ? [] : [[{ what }, value] as const]
      })
  return [
    gauge(`synod_held_${unit}`, `${howMany} this node holds or has waiting, by what they are.`, ['what'], read('now')),
    gauge(`synod_held_${unit}_max`, `The bound ${ofBound}: docs/limits.md says what happens at it.`, ['what'], read('max')),
  ]
}

function ofCounter(from: Counting, name: string, scale = 1): SampledMetric['read'] {
  return ({ counters }) => {
    const value = counters[from][name]
    return value === undefined ? [] : one(value * scale)
  }
}

function ofPeers(name: string): SampledMetric['read'] {
  return ({ counters: { peers } }) =>
    [...peers].flatMap(([peer, counters]) => {
      const value = counters[name]
      return value === undefined ? [] : [[{ peer }, value] as const]
    })
}

function ofGroups(name: 'lag' | 'parked' | 'consumers'): SampledMetric['read'] {
  return ({ counters: { groups } }) => groups.map((size) => [{ group: size.group }, size[name]])
}

function one(value: number): [Labels, number][] {
  return [[{}, value]]
}

function entries(counters: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counters)
}
