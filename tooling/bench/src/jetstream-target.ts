import { setTimeout as sleep } from 'node:timers/promises'
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { startNatsCluster } from '@synod/servers'
import { BenchError } from './bench-error.ts'
import { streamsCount, type Target } from './target.ts'

const stream = 'BENCH'
const leaderMillisecondsMax = 20_000

/**
 * Three nats-servers and a stream of three replicas in files, as JetStream comes: an acknowledgement waits for a quorum's write to
 * the page cache; the servers sync every two minutes.
 * @throws ServerError `nats_not_found` where there is no nats-server
 */
export async function jetstreamTarget(data: string, signal: AbortSignal): Promise<Target> {
  const cluster = await startNatsCluster({ size: 3 })
  const connections: NatsConnection[] = []
  const close = async (): Promise<void> => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()))
    await cluster.stop()
  }
  try {
    const open = async (servers: string): Promise<NatsConnection> => {
      const connection = await connect({ servers, ignoreClusterUpdates: true })
      connections.push(connection)
      return connection
    }
    const leader = await createStream(await open(cluster.urls[0] ?? ''), signal)
    const url = cluster.servers[Number(leader.replace('nats-', '')) - 1]?.url
    if (url === undefined) throw new BenchError(`the stream is led by ${leader}, which is none of our servers`)
    const connection = await open(url)
    return { ...publisher(connection, data), close }
  } catch (error) {
    await close()
    throw error
  }
}

function publisher(connection: NatsConnection, data: string): Omit<Target, 'close'> {
  const client = jetstream(connection)
  const payload = Buffer.from(data)
  const subjects = Array.from({ length: streamsCount }, (_, index) => `bench.${index}`)
  return {
    name: `JetStream R3 ${connection.info?.version ?? ''}`.trim(),
    durable: 'page cache at 2 of 3, fsync every 2 min',
    client: "NATS protocol to the stream's leader, one connection, each publish awaits its acknowledgement (nats.js)",
    prepare: () => Promise.resolve(),
    async append(turn) {
      await client.publish(subjects[turn % streamsCount] ?? '', payload)
    },
  }
}

/** The name of the server that leads the new stream. */
async function createStream(connection: NatsConnection, signal: AbortSignal): Promise<string> {
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: stream, subjects: ['bench.*'], storage: StorageType.File, num_replicas: 3 })
  const deadline = performance.now() + leaderMillisecondsMax
  for (; performance.now() < deadline; await sleep(100)) {
    signal.throwIfAborted()
    const { cluster } = await manager.streams.info(stream)
    const areCurrent = cluster?.replicas?.length === 2 && cluster.replicas.every(({ current }) => current)
    if (cluster?.leader && areCurrent) return cluster.leader
  }
  throw new BenchError(`the replicas of the stream are not current after ${leaderMillisecondsMax / 1000} s`)
}
