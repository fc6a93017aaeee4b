/**
 * When `start` may say `ready`: a quorum of nodes takes requests, and every other node either does too or cannot (its store is
 * wiped or foreign, or its process is down for good). Whatever else is the case is told to people, node by node, and waited for.
 */
import { pause } from './pause.ts'

export interface AwaitedNode {
  readonly id: string
  readonly url: string
  /** Why its process is down for good; undefined while it is up or will be started again. */
  readonly over: string | undefined
}

export interface WaitUntilReadyOptions {
  readonly nodes: readonly AwaitedNode[]
  readonly signal: AbortSignal
  /** Progress, for people. */
  readonly report: (message: string) => void
  /** After so long, and then again and again, every node that is not ready is reported with what it says of itself. Default 15,000. */
  readonly slowMilliseconds?: number
}

interface Health {
  readonly state: string
  readonly why: string
}

const pollMilliseconds = 100
const answerMillisecondsMax = 1_000
/** States that a node does not leave by itself. */
const unable: ReadonlySet<string> = new Set(['wiped', 'foreign'])

/** Resolves when the cluster serves as far as it can, when no process is left, or when it was stopped meanwhile. */
export async function waitUntilReady({ nodes, signal, report, slowMilliseconds = 15_000 }: WaitUntilReadyOptions): Promise<void> {
  const quorum = Math.floor(nodes.length / 2) + 1
  const ready = new Set<AwaitedNode>()
  const told = new Map<string, string>()
  const tell = (about: string, message: string): void => {
    if (told.get(about) === message) return
    told.set(about, message)
    report(message)
  }
  let slowAt = performance.now() + slowMilliseconds
  while (!signal.aborted && nodes.some(({ over }) => over === undefined)) {
    const unready = nodes.filter((node) => !ready.has(node))
    const healths = await Promise.all(unready.map(({ url }) => healthOf(url)))
    const isSlow = performance.now() > slowAt
    if (isSlow) slowAt = performance.now() + slowMilliseconds
    const out: string[] = []
    for (const [index, node] of unready.entries()) {
      const { state, why } = healths[index] ?? unreachable
      if (state === 'ready') {
        ready.add(node)
        tell(node.id, `${node.id} is ready`)
      } else if (unable.has(state)) {
        out.push(node.id)
        tell(node.id, `${node.id} takes no part, it is ${state}: ${why}`)
      } else if (node.over !== undefined) out.push(node.id)
      else if (isSlow) tell(node.id, `${node.id} is not ready, it is ${state}: ${why}`)
    }
    if (ready.size >= quorum && ready.size + out.length === nodes.length) return
    if (nodes.length - out.length < quorum) {
      tell(
        '',
        `no quorum is possible: ${quorum} of ${nodes.length} nodes are needed, and ${out.join(', ')} cannot take part. ` +
          `Nothing can be appended until their databases are restored; the nodes stay up and say so`,
      )
    }
    await pause(pollMilliseconds, signal)
  }
}

const unreachable: Health = { state: 'unreachable', why: 'it does not answer yet; its node.log says more' }

async function healthOf(url: string): Promise<Health> {
  try {
    const ready = await fetch(new URL('/health/ready', url), { signal: AbortSignal.timeout(answerMillisecondsMax) })
    await ready.body?.cancel()
    if (ready.ok) return { state: 'ready', why: '' }
    const node = await fetch(new URL('/node', url), { signal: AbortSignal.timeout(answerMillisecondsMax) })
    const { state, why } = (await node.json()) as { state?: string; why?: string }
    // It may have become ready between the two questions: the next look will tell.
    return { state: state ?? 'unknown', why: why ?? 'it says no more' }
  } catch {
    return unreachable // not listening yet, or too busy to answer
  }
}
