import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@synod/client'
import { appendFlights } from './append-flights.ts'
import { ClusterView } from './cluster-view.ts'
import type { DemoCluster } from './demo-cluster.ts'
import { DemoError } from './demo-error.ts'
import { demoReport } from './demo-report.ts'
import type { DemoScreen } from './demo-screen.ts'
import { EventFollower } from './event-follower.ts'
import { flightStreams, loadFlights, type FlightEvent } from './flights.ts'
import { findLeader, killLeader, type LeaderKill } from './leader-kill.ts'
import { untilSamePosition, verifyCluster } from './verify-cluster.ts'

export interface DemoRun {
  readonly cluster: DemoCluster
  readonly flights: number
  readonly screen: DemoScreen
  /** Ends the run with its reason. */
  readonly signal: AbortSignal
}

const writers = 16
/** One append, all its tries. */
const appendMilliseconds = 60_000
const followMillisecondsMax = 60_000

/** The demo from start to verdict: what differs, nothing if all is well. @throws DemoError when it cannot go on */
export async function runDemo({ cluster, flights, screen, signal }: DemoRun): Promise<string[]> {
  const input = flightStreams(loadFlights(flights))
  const startedAt = performance.now()
  await cluster.start()
  signal.throwIfAborted()
  const start = performance.now() - startedAt
  const view = new ClusterView(cluster.urls, signal)
  const client = connect<FlightEvent>({ nodes: cluster.urls, appendTimeout: appendMilliseconds })
  let following: EventFollower | undefined
  try {
    const leader = await findLeader(view, signal)
    // At the node that will be killed, most likely: the subscriber has to go on elsewhere.
    const follower = new EventFollower(leader.url)
    following = follower
    follower.follow(signal)
    screen.say(`${leader.id} leads; ${writers} writers append ${flights} flights to ${input.size} streams, a subscriber follows`)
    const appendedFrom = performance.now()
    const kill = new KillOnTheWay(async () => tellKill(await killLeader(cluster, view, signal), screen))
    const acknowledged = await appendFlights({
      client,
      input,
      writers,
      signal,
      onProgress: (events, at) => {
        screen.progress(events, follower.events.length, flights)
        kill.onAcknowledged(at, events >= flights / 3)
      },
    })
    const append = performance.now() - appendedFrom
    const killed = await kill.done
    const [newLeader, back] = await Promise.all([killed.newLeader, killed.back])
    await untilSamePosition(view, flights, signal)
    const samePosition = performance.now() - appendedFrom - append
    await untilFollowed(follower, flights, signal)
    screen.progress(flights, follower.events.length, flights)
    screen.endProgress()
    await follower.stop()
    screen.say(`all nodes are at position ${flights}; comparing each with the input`)
    const verifiedFrom = performance.now()
    const differences = await verifyCluster({ view, input, acknowledged, subscriber: follower })
    const milliseconds = {
      start,
      append,
      longestPause: kill.longestPause,
      newLeader: newLeader.at - killed.killedAt,
      ready: back.readyAt - killed.killedAt,
      caughtUp: back.caughtUpAt - killed.killedAt,
      samePosition,
      verify: performance.now() - verifiedFrom,
    }
    const { retries } = client.status().counters
    const counts = { events: flights, streams: input.size, appends: acknowledged.length, retries }
    screen.print(demoReport({ ...counts, subscriptions: follower.subscriptions, killed: killed.id, newLeader: newLeader.id, milliseconds }))
    return differences
  } finally {
    await Promise.all([following?.stop(), client.close()])
  }
}

/** Kills once, at the first acknowledgement that says so, and measures the pauses between acknowledgements from then on. */
class KillOnTheWay {
  readonly #kill: () => Promise<LeaderKill>
  #killing: Promise<LeaderKill> | undefined
  #killedAt = Infinity
  #lastAt = Infinity
  #longestPause = 0

  constructor(kill: () => Promise<LeaderKill>) {
    this.#kill = kill
  }

  /** Milliseconds. */
  get longestPause(): number {
    return this.#longestPause
  }

  /** The kill, when it has happened. */
  get done(): Promise<LeaderKill> {
    return this.#killing ?? Promise.reject(new DemoError('the appends were over before the leader was killed'))
  }

  onAcknowledged(at: number, isTime: boolean): void {
    if (at > this.#killedAt) this.#longestPause = Math.max(this.#longestPause, at - this.#lastAt)
    this.#lastAt = at
    if (!isTime || this.#killing !== undefined) return
    this.#killing = this.#kill()
    this.#killing.then(
      ({ killedAt }) => (this.#killedAt = killedAt),
      () => undefined, // whoever awaits `done` is told
    )
  }
}

/** Says what follows the kill when it happens. */
function tellKill(killed: LeaderKill, screen: DemoScreen): LeaderKill {
  const after = (at: number): string => `${((at - killed.killedAt) / 1000).toFixed(2)} s after the kill`
  screen.say(`kill -9 of the leader ${killed.id}, process ${killed.pid}`)
  void killed.newLeader.then(
    ({ id, at }) => screen.say(`${id} leads, ${after(at)}`),
    () => undefined, // the run awaits it too, and fails with it
  )
  void killed.back.then(
    ({ readyAt, caughtUpAt }) => screen.say(`${killed.id} is ready again ${after(readyAt)}, caught up ${after(caughtUpAt)}`),
    () => undefined,
  )
  return killed
}

async function untilFollowed(follower: EventFollower, events: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + followMillisecondsMax
  for (; follower.events.length < events; await sleep(20)) {
    signal.throwIfAborted()
    if (performance.now() > deadline)
      throw new DemoError(`the subscriber has ${follower.events.length} of ${events} events, and gets no more`)
  }
}
