import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterNode } from '../http/cluster-answer.ts'
import type { ClusterView } from './cluster-view.ts'
import type { DemoCluster } from './demo-cluster.ts'
import { DemoError } from './demo-error.ts'

export interface LeaderKill {
  readonly id: string
  readonly url: string
  readonly pid: number
  /** `performance.now()` of each step. */
  readonly killedAt: number
  readonly newLeader: Promise<{ readonly id: string; readonly at: number }>
  /** The killed node takes appends again; and then, it has everything that the others had at that moment. */
  readonly back: Promise<{ readonly readyAt: number; readonly caughtUpAt: number }>
}

const pollMilliseconds = 25
const leaderMillisecondsMax = 60_000
const backMillisecondsMax = 120_000

/** The leader as a quorum sees it now. @throws DemoError when there is none for a while */
export async function findLeader(view: ClusterView, signal: AbortSignal): Promise<ClusterNode & { pid: number }> {
  const deadline = performance.now() + leaderMillisecondsMax
  for (; ; await sleep(pollMilliseconds)) {
    signal.throwIfAborted()
    for (const url of view.urls) {
      const status = await view.status(url)
      const leader = status?.nodes.find(({ id }) => id === status.leader)
      if (leader !== undefined && leader.pid !== null) return { ...leader, pid: leader.pid }
    }
    if (performance.now() > deadline) throw new DemoError(`no node leads for ${leaderMillisecondsMax / 1000} s: see node.log of each node`)
  }
}

/**
 * SIGKILL to the process that leads, after making sure that it is one of this run. The promises watch what follows and settle
 * by themselves; a failure of theirs is for whoever awaits them.
 */
export async function killLeader(cluster: DemoCluster, view: ClusterView, signal: AbortSignal): Promise<LeaderKill> {
  const { id, url, pid } = await findLeader(view, signal)
  if (!cluster.isProcessOf(id, pid))
    throw new DemoError(`the leader ${id} says that it is process ${pid}, which is none of this run: not killed`)
  process.kill(pid, 'SIGKILL')
  const killedAt = performance.now()
  const survivors = view.urls.filter((other) => other !== url)
  const newLeader = watchNewLeader(view, survivors, { id, pid }, signal)
  const back = watchBack(view, survivors, { id, url }, signal)
  for (const watched of [newLeader, back]) watched.catch(() => undefined) // looked at later
  return { id, url, pid, killedAt, newLeader, back }
}

async function watchNewLeader(
  view: ClusterView,
  survivors: readonly string[],
  old: { readonly id: string; readonly pid: number },
  signal: AbortSignal,
): Promise<{ id: string; at: number }> {
  const deadline = performance.now() + leaderMillisecondsMax
  for (; ; await sleep(pollMilliseconds)) {
    signal.throwIfAborted()
    for (const status of await Promise.all(survivors.map((url) => view.status(url)))) {
      const leader = status?.nodes.find((node) => node.id === status.leader)
      // The old one may lead again, as a new process.
      const isNew = leader !== undefined && leader.pid !== null && (leader.id !== old.id || leader.pid !== old.pid)
      if (isNew) return { id: leader.id, at: performance.now() }
    }
    if (performance.now() > deadline)
      throw new DemoError(`no other node leads ${leaderMillisecondsMax / 1000} s after ${old.id} was killed`)
  }
}

async function watchBack(
  view: ClusterView,
  survivors: readonly string[],
  { id, url }: { readonly id: string; readonly url: string },
  signal: AbortSignal,
): Promise<{ readyAt: number; caughtUpAt: number }> {
  const deadline = performance.now() + backMillisecondsMax
  const until = async (what: string, holds: () => Promise<boolean>): Promise<number> => {
    for (; ; await sleep(pollMilliseconds)) {
      signal.throwIfAborted()
      if (await holds()) return performance.now()
      if (performance.now() > deadline) throw new DemoError(`${id} is not ${what} ${backMillisecondsMax / 1000} s after it was killed`)
    }
  }
  const readyAt = await until('ready', () => view.isReady(url))
  const elsewhere = await Promise.all(survivors.map((survivor) => view.position(survivor)))
  const target = Math.max(...elsewhere.map((position) => position ?? 0))
  const caughtUpAt = await until('caught up', async () => ((await view.position(url)) ?? -1) >= target)
  return { readyAt, caughtUpAt }
}
