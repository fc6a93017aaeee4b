import { synodClientTarget } from './synod-client-target.ts'
import { synodCluster } from './synod-cluster.ts'
import { synodHttpTarget } from './synod-http-target.ts'
import { startSynod, type SynodTransport } from './synod-process.ts'
import type { RunningStore } from './target.ts'

/**
 * Three nodes as `start` makes them, each with its own Postgres; HTTP is measured where TCP is between the nodes.
 * @throws BenchError with what `start` said
 */
export async function startSynodStore(transport: SynodTransport, signal: AbortSignal): Promise<RunningStore> {
  const cluster = await startSynod(transport, signal)
  try {
    const { leaderUrl } = await synodCluster(cluster.urls, signal)
    const client = synodClientTarget(transport, cluster)
    const targets = transport === 'tcp' ? [client, synodHttpTarget(leaderUrl, cluster.pid)] : [client]
    return {
      targets,
      async close() {
        await Promise.all(targets.map((target) => target.close()))
        await cluster.stop()
      },
    }
  } catch (error) {
    await cluster.stop()
    throw error
  }
}
