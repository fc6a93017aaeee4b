import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { BenchError } from './bench-error.ts'

export interface ClusterView {
  readonly leaderUrl: string
  readonly nodes: readonly { readonly id: string; readonly pid: number; readonly isLeader: boolean }[]
}

const leaderMillisecondsMax = 20_000

/** What the first node says of the cluster, once one leads and every node has a process. @throws BenchError */
export async function synodCluster(urls: readonly string[], signal: AbortSignal): Promise<ClusterView> {
  const deadline = performance.now() + leaderMillisecondsMax
  for (; performance.now() < deadline; await sleep(100)) {
    signal.throwIfAborted()
    const { body } = await request(new URL('/cluster', urls[0]))
    const { leader, nodes } = (await body.json()) as ClusterBody
    const leaderUrl = nodes.find(({ id }) => id === leader)?.url
    const found = nodes.flatMap(({ id, pid }) => (pid === null ? [] : [{ id, pid, isLeader: id === leader }]))
    if (leaderUrl !== undefined && found.length === nodes.length) return { leaderUrl, nodes: found }
  }
  throw new BenchError(`no node leads for ${leaderMillisecondsMax / 1000} s after all were ready`)
}

interface ClusterBody {
  readonly leader: string | null
  readonly nodes: readonly { readonly id: string; readonly url: string; readonly pid: number | null }[]
}
