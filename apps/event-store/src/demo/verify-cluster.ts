import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterView } from './cluster-view.ts'
import {
  compareAcknowledged,
  compareHistories,
  compareStreams,
  compareWithInput,
  type Acknowledgement,
  type History,
  type Input,
  type ObservedEvent,
} from './compare-histories.ts'
import { DemoError } from './demo-error.ts'

const samePositionMillisecondsMax = 60_000

/** Resolves when every node says of itself that it is at `position`. @throws DemoError with what they say, after a minute or at once if one is beyond */
export async function untilSamePosition(view: ClusterView, position: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + samePositionMillisecondsMax
  for (; ; await sleep(50)) {
    signal.throwIfAborted()
    const positions = await Promise.all(view.urls.map((url) => view.position(url)))
    if (positions.every((at) => at === position)) return
    const isOver = positions.some((at) => at !== undefined && at > position) || performance.now() > deadline
    if (isOver)
      throw new DemoError(`the nodes are at positions ${positions.map((at) => at ?? 'unknown').join(', ')}, and not all at ${position}`)
  }
}

export interface Evidence {
  readonly view: ClusterView
  readonly input: Input
  readonly acknowledged: readonly Acknowledgement[]
  readonly subscriber: { readonly events: readonly ObservedEvent[]; readonly problems: readonly string[] }
}

/** What every node holds in its own store, and what the subscriber got, against what was sent; the differences, none is good. */
export async function verifyCluster({ view, input, acknowledged, subscriber }: Evidence): Promise<string[]> {
  const seen: History = { name: 'the subscriber', events: subscriber.events }
  const differences = [...subscriber.problems, ...compareWithInput(input, seen)]
  let first: History | undefined
  for (const [index, url] of view.urls.entries()) {
    const history = { name: `n${index + 1}`, events: await view.readAll(url, '/events') }
    differences.push(...compareWithInput(input, history), ...compareAcknowledged(acknowledged, history))
    differences.push(...compareStreams(await readStreams(view, url, input), history))
    differences.push(...compareHistories(first ?? seen, history))
    first ??= history
  }
  return differences
}

async function readStreams(view: ClusterView, url: string, input: Input): Promise<Map<string, ObservedEvent[]>> {
  const streams = new Map<string, ObservedEvent[]>()
  for (const stream of input.keys()) streams.set(stream, await view.readAll(url, `/streams/${encodeURIComponent(stream)}`))
  return streams
}
