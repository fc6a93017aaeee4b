import { freePort } from './free-port.ts'
import { waitUntil } from './process-table.ts'
import { ServerError } from './server-error.ts'
import type { NatsServer } from './start-nats.ts'
import { startNats } from './start-nats.ts'

export interface NatsCluster extends AsyncDisposable {
  readonly servers: readonly NatsServer[]
  readonly urls: readonly string[]
  stop(): Promise<void>
}

/**
 * Servers with JetStream, joined by routes: what a stream with three replicas needs. Settles when all of them say that they are healthy.
 * @throws ServerError `nats_not_found`, `server_did_not_start`
 */
export async function startNatsCluster(
  options: { readonly size?: number; readonly dataDirs?: readonly string[] } = {},
): Promise<NatsCluster> {
  const size = options.size ?? 3
  const ports = new Set<number>()
  while (ports.size < size) ports.add(await freePort())
  const routes = [...ports].map((port) => `nats://127.0.0.1:${port}`)
  const outcomes = await Promise.allSettled(
    [...ports].map((port, index) => {
      const dataDir = options.dataDirs?.[index]
      return startNats({
        name: `nats-${index + 1}`,
        jetstream: true,
        cluster: { name: 'synod', port, routes },
        ...(dataDir !== undefined && { dataDir }),
      })
    }),
  )
  const servers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  const areHealthy = await waitUntil(async () => (await Promise.all(servers.map(isHealthy))).every(Boolean), 30_000)
  if (!areHealthy) {
    await stop()
    throw new ServerError('server_did_not_start', `${size} nats-servers started, but JetStream was not healthy on all of them within 30 s`)
  }
  return { servers, urls: servers.map((server) => server.url), stop, [Symbol.asyncDispose]: stop }
}

async function isHealthy(server: NatsServer): Promise<boolean> {
  try {
    const [health, jetstream] = await Promise.all(
      ['healthz', 'jsz'].map((page) =>
        fetch(`http://${server.host}:${server.monitorPort}/${page}`, { signal: AbortSignal.timeout(1_000) }),
      ),
    )
    // Health alone is true before the servers have met; a leader of the meta group means that a majority has.
    const { meta_cluster: meta } = (await jetstream!.json()) as { meta_cluster?: { leader?: string } }
    return health!.status === 200 && Boolean(meta?.leader)
  } catch {
    return false
  }
}
