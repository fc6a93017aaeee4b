import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type Client } from '@synod/client'
import { BenchError } from './bench-error.ts'
import { eventBody, type EventBody } from './event-body.ts'
import { synodCluster } from './synod-cluster.ts'
import type { SynodProcess, SynodTransport } from './synod-process.ts'
import { streamsCount, type ConditionalDoor, type LiveDoor, type NodeProcess, type ReplayDoor, type Target } from './target.ts'

type Measured = { readonly type: 'Measured'; readonly data: EventBody }

const fillInFlight = 512
const nodesMillisecondsMax = 30_000
const replayPrefix = 'replay-'

/** As a service reaches it: @synod/client, given all nodes, finds the leader. */
export function synodClientTarget(transport: SynodTransport, cluster: SynodProcess): Target & { close(): Promise<void> } {
  const { urls, pid } = cluster
  const open = (): Client<Measured> => connect<Measured>({ nodes: urls })
  const client = open()
  const subscriber = open()
  const event = measured()
  const streams = Array.from({ length: streamsCount }, (_, index) => `bench-${index}`)
  return {
    key: transport === 'tcp' ? 'synod' : 'synod-nats',
    name: transport === 'tcp' ? 'Synod' : 'Synod over NATS',
    durable: 'fsync at 2 of 3',
    client: `three nodes with a Postgres 18 each, ${transport === 'tcp' ? 'TCP' : 'NATS'} between them; @synod/client, one WebSocket to the leader`,
    pids: [pid],
    prepare: () => Promise.resolve(),
    async append(turn) {
      await client.append(streams[turn % streamsCount] ?? '', event)
    },
    conditional: conditionalDoor(client),
    replay: replayDoor(client),
    live: liveDoor(client, subscriber),
    nodes: () => nodesOf(cluster),
    async close() {
      await Promise.all([client.close(), subscriber.close()])
    },
  }
}

async function nodesOf({ urls, data }: SynodProcess): Promise<NodeProcess[]> {
  const { nodes } = await synodCluster(urls, AbortSignal.timeout(nodesMillisecondsMax))
  return nodes.map((node) => {
    const [postgresPid] = readFileSync(join(data, node.id, 'postgres', 'postmaster.pid'), 'utf8').split('\n')
    return { ...node, postgresPid: Number(postgresPid) }
  })
}

function measured(number = 0): Measured {
  return { type: 'Measured', data: eventBody(number) }
}

/** A name that must be unique: nothing has the tag that the event will have. */
function conditionalDoor(client: Client<Measured>): ConditionalDoor {
  const run = randomUUID()
  let turn = 0
  return {
    condition: 'no event has this tag, which the appended one has',
    async append() {
      const tags = [`name:${run}:${turn}`]
      const stream = `conditional-${turn++ % streamsCount}`
      await client.appendAtomically({
        writes: [{ stream, events: { ...measured(), tags } }],
        condition: { failIfEventsMatch: { items: [{ tags }] } },
      })
    },
  }
}

function replayDoor(client: Client<Measured>): ReplayDoor {
  let before = 0n
  return {
    reader: 'catch-up subscription to all events, each parsed',
    async fill(count) {
      const { position } = await client.append(`${replayPrefix}begin`, measured())
      before = position
      for (let from = 0; from < count; from += fillInFlight) {
        const numbers = Array.from({ length: Math.min(fillInFlight, count - from) }, (_, index) => from + index)
        await Promise.all(numbers.map((number) => client.append(`${replayPrefix}${number % streamsCount}`, measured(number))))
      }
    },
    async read(count, signal) {
      let left = count
      for await (const message of client.subscribe({ after: before, signal })) {
        if (message.kind !== 'event' || !message.event.stream.startsWith(replayPrefix)) continue
        if (--left === 0) return
      }
      throw new BenchError(`a subscription ended ${left} events before its last`)
    },
  }
}

function liveDoor(publisher: Client<Measured>, subscriber: Client<Measured>): LiveDoor {
  return {
    subscriber: 'subscription to all events, on a connection of its own',
    async subscribe(onEvent, signal) {
      const ending = new AbortController()
      const { position } = await publisher.append('live-begin', measured())
      const messages = subscriber.subscribe({ after: position, signal: AbortSignal.any([signal, ending.signal]) })[Symbol.asyncIterator]()
      const first = await messages.next()
      if (first.done !== true && first.value.kind !== 'caughtUp')
        throw new BenchError(`a subscription at the end began with ${first.value.kind}`)
      const following = (async () => {
        for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
          if (next.value.kind === 'event') onEvent(next.value.event.data.number)
        }
      })()
      const ended = following.catch((error: unknown) => {
        if (!ending.signal.aborted) throw error
      })
      return {
        async close() {
          ending.abort()
          await ended
        },
      }
    },
    async publish(number) {
      await publisher.append(`live-${number % streamsCount}`, measured(number))
    },
  }
}
