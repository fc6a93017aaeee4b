import { DeliverPolicy, jetstream, jetstreamManager, StorageType, type JetStreamClient } from '@nats-io/jetstream'
import { connect, createInbox, type NatsConnection } from '@nats-io/transport-node'
import { startNatsCluster } from '@synod/servers'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from './bench-error.ts'
import { eventBody, type EventBody } from './event-body.ts'
import { streamsCount, type LiveDoor, type ReplayDoor, type RunningStore } from './target.ts'

/** A stream for each work, so that none reads what another one wrote. Its subjects are `<name>.<n>`. */
const streams = { append: 'append', replay: 'replay', live: 'live' } as const
const leaderMillisecondsMax = 20_000
const fillInFlight = 512
/** Of a pull; the quickest of 100, 1,000 and 10,000. */
const pullMessagesMax = 10_000

/**
 * Three nats-servers and streams of three replicas in files, as JetStream comes: an acknowledgement waits for a quorum's write to
 * the page cache; the servers sync every two minutes.
 * @throws ServerError `nats_not_found` where there is no nats-server and none can be fetched
 */
export async function startJetstream(signal: AbortSignal): Promise<RunningStore> {
  const cluster = await startNatsCluster({ size: 3 })
  const connections: NatsConnection[] = []
  const close = async (): Promise<void> => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()))
    await cluster.stop()
  }
  const open = async (servers: string | undefined): Promise<NatsConnection> => {
    const connection = await connect({ servers: servers ?? [], ignoreClusterUpdates: true })
    connections.push(connection)
    return connection
  }
  try {
    const first = await open(cluster.urls[0])
    // The servers are named nats-1, nats-2, …: the client of a stream goes to the server that leads it.
    const toLeader = async (stream: string): Promise<NatsConnection> => {
      const leader = await createStream(first, stream, signal)
      return open(cluster.servers[Number(leader.replace('nats-', '')) - 1]?.url)
    }
    const appends = await toLeader(streams.append)
    const client = jetstream(appends)
    const payload = Buffer.from(JSON.stringify(eventBody()))
    const target = {
      key: 'jetstream',
      name: 'JetStream R3',
      durable: 'page cache at 2 of 3, fsync each 2 min',
      client: `three nats-servers ${appends.info?.version ?? ''}; nats.js to the stream's leader, one connection, each publish awaits its acknowledgement`,
      pids: cluster.servers.map(({ pid }) => pid),
      prepare: () => Promise.resolve(),
      append: (turn: number) => publish(client, streams.append, turn, payload),
      replay: replayDoor(await toLeader(streams.replay)),
      live: liveDoor(await toLeader(streams.live), await toLeader(streams.live)),
    } as const
    return { targets: [target], close }
  } catch (error) {
    await close()
    throw error
  }
}

async function publish(client: JetStreamClient, stream: string, turn: number, payload: Uint8Array): Promise<void> {
  await client.publish(`${stream}.${turn % streamsCount}`, payload)
}

function replayDoor(connection: NatsConnection): ReplayDoor {
  const client = jetstream(connection)
  return {
    reader: `ordered consumer at the stream's leader, pulls of ${pullMessagesMax}, each parsed`,
    async fill(count) {
      for (let from = 0; from < count; from += fillInFlight) {
        const numbers = Array.from({ length: Math.min(fillInFlight, count - from) }, (_, index) => from + index)
        await Promise.all(numbers.map((number) => publish(client, streams.replay, number, Buffer.from(JSON.stringify(eventBody(number))))))
      }
    },
    async read(count, signal) {
      const consumer = await client.consumers.get(streams.replay, { deliver_policy: DeliverPolicy.All })
      const messages = await consumer.consume({ max_messages: pullMessagesMax })
      const stop = (): void => messages.stop()
      signal.addEventListener('abort', stop, { once: true })
      let left = count
      for await (const message of messages) {
        message.json<EventBody>()
        if (--left === 0) break
      }
      signal.removeEventListener('abort', stop)
      signal.throwIfAborted()
      await consumer.delete()
    },
  }
}

function liveDoor(publisher: NatsConnection, subscriber: NatsConnection): LiveDoor {
  const client = jetstream(publisher)
  return {
    subscriber: "ordered push consumer at the stream's leader",
    async subscribe(onEvent) {
      const consumer = await jetstream(subscriber).consumers.getPushConsumer(streams.live, {
        deliver_prefix: createInbox(),
        deliver_policy: DeliverPolicy.New,
      })
      const messages = await consumer.consume({ callback: (message) => onEvent(message.json<EventBody>().number) })
      return {
        async close() {
          messages.stop()
          await consumer.delete()
        },
      }
    },
    publish: (number) => publish(client, streams.live, number, Buffer.from(JSON.stringify(eventBody(number)))),
  }
}

/** The name of the server that leads the stream, which is made if it is not there. */
async function createStream(connection: NatsConnection, stream: string, signal: AbortSignal): Promise<string> {
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: stream, subjects: [`${stream}.*`], storage: StorageType.File, num_replicas: 3 })
  const deadline = performance.now() + leaderMillisecondsMax
  for (; performance.now() < deadline; await sleep(100)) {
    signal.throwIfAborted()
    const { cluster } = await manager.streams.info(stream)
    const areCurrent = cluster?.replicas?.length === 2 && cluster.replicas.every(({ current }) => current)
    if (cluster?.leader && areCurrent) return cluster.leader
  }
  throw new BenchError(`the replicas of the stream ${stream} are not current after ${leaderMillisecondsMax / 1000} s`)
}
