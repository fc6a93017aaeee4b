import type { Dice } from '../world/dice.ts'

export interface WorkloadPlan {
  readonly clients: number
  readonly streams: number
  readonly thinkMsMean: number
  /** Of operations: the rest are reads. */
  readonly appendShare: number
  readonly localShare: number
  readonly eventsMax: number
  readonly paddingBytesMax: number
  readonly callMsMax: number
  readonly triesMax: number
  /** Of requests and answers between clients and nodes. */
  readonly lossRate: number
  /** Appends that are sent to two nodes at once. */
  readonly hedgeRate: number
  /** The client stays with its node until that fails. */
  readonly staysRate: number
  readonly subscribers: number
  readonly slowSubscriberMs: number
  /** Clients that do nothing but read, quickly, so that reads meet at a node. */
  readonly readers: number
  readonly readerThinkMsMean: number
  /** Those of `boundary-client.ts`; with them come filtered subscribers and a consumer group. */
  readonly boundaryClients: number
  readonly filteredSubscribers: number
  readonly consumers: number
  /** Clients that say what streams keep; with them nodes tick, and give space back. Only where there are boundary clients, which write those streams. */
  readonly retentionClients: number
}

export const noBoundaries = { boundaryClients: 0, filteredSubscribers: 0, consumers: 0, retentionClients: 0 } as const

export function drawWorkload(dice: Dice): WorkloadPlan {
  const clients = dice.whole(1, 6)
  // As in seed-plan.ts: the draws of the others stay what they were.
  const apart = dice.named('reads')
  const boundaries = dice.named('boundaries')
  const hasBoundaries = boundaries.chance(0.4)
  const hasGroup = hasBoundaries && boundaries.chance(0.5)
  const retention = dice.named('retention')
  const hasRetention = hasBoundaries && retention.chance(0.6)
  return {
    clients,
    streams: dice.whole(1, 6),
    // About as many operations a second whatever the number of clients.
    thinkMsMean: clients * dice.scaled(20, 400),
    appendShare: dice.between(0.3, 0.9),
    localShare: dice.between(0, 0.5),
    eventsMax: dice.chance(0.7) ? dice.whole(1, 4) : 1,
    paddingBytesMax: dice.chance(0.1) ? 5_000 : dice.whole(0, 200),
    callMsMax: dice.scaled(200, 5_000),
    triesMax: dice.whole(1, 8),
    lossRate: dice.chance(0.3) ? dice.scaled(0.001, 0.1) : 0,
    hedgeRate: dice.chance(0.3) ? dice.between(0, 0.3) : 0,
    staysRate: dice.unit(),
    subscribers: dice.whole(0, 4),
    slowSubscriberMs: dice.chance(0.3) ? dice.scaled(1, 200) : 0,
    readers: apart.chance(0.15) ? apart.whole(2, 4) : 0,
    readerThinkMsMean: apart.scaled(20, 100),
    boundaryClients: hasBoundaries ? boundaries.whole(1, 4) : 0,
    filteredSubscribers: hasBoundaries ? boundaries.whole(0, 3) : 0,
    consumers: hasGroup ? boundaries.whole(1, 4) : 0,
    retentionClients: hasRetention ? retention.whole(1, 2) : 0,
  }
}
