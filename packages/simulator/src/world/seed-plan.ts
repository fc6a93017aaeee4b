/**
 * What a seed draws: the size of the cluster, what goes wrong and how often, the bounds of the product, the workload. Rates
 * differ by orders of magnitude between seeds, because at fixed mild rates whole classes of bugs are never seen; some seeds
 * are quiet, some crash nodes all the time and double every second frame.
 */
import type { EventLimits, EventMachineLimits } from '@synod/events'
import type { VirtualLogLimits } from '@synod/log'
import type { WorkloadPlan } from '../workload/workload-plan.ts'
import { drawWorkload } from '../workload/workload-plan.ts'
import type { Dice } from './dice.ts'
import type { DiskRates } from './disk.ts'
import type { NetworkRates } from './network.ts'
import type { ReadDiskRates } from './read-disk.ts'

export type Mode = 'basic' | 'multi'

/** Each in times a second: of one node, or of the cluster where it says so. */
export interface FaultRates {
  readonly crash: number
  /** In the middle of a turn, between two calls of ports. */
  readonly crashInTurn: number
  readonly crashAll: number
  readonly stop: number
  readonly pause: number
  readonly stall: number
  readonly failSync: number
  readonly failFlush: number
  readonly wipe: number
  /** Of the cluster. */
  readonly cutLink: number
  readonly clogLink: number
  readonly partition: number
  /** Of the cluster: a partition, a crash and another partition, made to lose what was not durable. */
  readonly strike: number
  /** Of the cluster: the links of a node, clogged one after the other and mended in another order. */
  readonly swizzle: number
  /** Of the cluster: a node to which, or to and from which, everything takes long. */
  readonly lag: number
}

export interface SeedPlan {
  readonly mode: Mode
  readonly nodes: number
  readonly safetyMs: number
  /** Clocks run at 1 ± this. */
  readonly driftMax: number
  readonly network: NetworkRates
  readonly disk: DiskRates
  readonly readDisk: ReadDiskRates
  readonly faults: FaultRates
  readonly downMsMean: number
  readonly pauseMsMean: number
  readonly partMsMean: number
  readonly protocolOptions: Readonly<Record<string, number | string>>
  readonly logLimits: Partial<VirtualLogLimits>
  readonly machineLimits: Partial<EventMachineLimits>
  readonly eventLimits: Partial<EventLimits>
  readonly workload: WorkloadPlan
  /** Where some client says what streams keep. */
  readonly retention: RetentionRates
}

export interface RetentionRates {
  /** By how much the clocks are wrong by which nodes tick. */
  readonly clockMsMax: number
  /** One node's clock is wrong by this; 0: none. */
  readonly wildMs: number
  /** And wrong anew each time that it is asked. */
  readonly isWildAnew: boolean
  /** Of a piece of a disk. */
  readonly pieceBytes: number
  readonly reclaimPassMs: number
  readonly reclaimDeadShareMin: number
}

export function drawPlan(dice: Dice, mode: Mode): SeedPlan {
  const isHarsh = dice.chance(0.12)
  const isQuiet = !isHarsh && dice.chance(0.1)
  const sometimes = (probability: number, low: number, high: number): number => {
    const value = dice.scaled(low, high)
    return dice.chance(isQuiet ? probability / 5 : probability) ? value : 0
  }
  // The draws of the others, and with them the seeds of regression tests, stay what they were.
  const apart = dice.named('faults')
  const crash = isHarsh ? dice.between(0.3, 1) : sometimes(0.6, 0.005, 0.2)
  return {
    mode,
    nodes: dice.chance(0.04) ? 1 : dice.chance(0.3) ? 5 : 3,
    safetyMs: dice.scaled(4_000, 40_000),
    driftMax: dice.chance(0.5) ? dice.scaled(0.0001, 0.2) : 0,
    network: {
      delayMsMin: dice.scaled(0.05, 5),
      delayMsMean: dice.scaled(0.05, isQuiet ? 2 : 30),
      lossRate: sometimes(0.5, 0.001, 0.3),
      duplicateRate: isHarsh ? dice.between(0.5, 0.6) : sometimes(0.5, 0.001, 0.3),
      stragglerRate: sometimes(isHarsh ? 0.9 : 0.4, 0.0005, 0.1),
      stragglerMsMax: dice.scaled(50, 20_000),
      isInOrder: dice.chance(0.4),
      frameBytesMax: dice.chance(0.2) ? 2_048 : 4 * 1024 * 1024,
    },
    disk: {
      syncMsMin: dice.scaled(0.05, 2),
      syncMsMean: dice.chance(0.2) ? dice.scaled(15, 120) : dice.scaled(0.1, 15),
      slowSyncRate: sometimes(0.3, 0.001, 0.1),
      slowSyncMsMax: dice.scaled(50, 3_000),
      readMsMean: dice.chance(0.4) ? dice.scaled(0.05, 10) : 0,
      readBatchBytesMax: dice.chance(0.3) ? 4_096 : 1024 * 1024,
    },
    readDisk: {
      flushMsMean: dice.scaled(0.1, 50),
      readMsMean: dice.chance(0.4) ? dice.scaled(0.05, 10) : 0,
      setBackRate: dice.chance(0.7) ? dice.between(0.1, 0.9) : 0,
      setBackWholeRate: dice.between(0, 0.3),
    },
    faults: {
      crash,
      crashInTurn: dice.chance(0.6) ? crash : 0,
      crashAll: sometimes(0.25, 0.01, 0.2),
      stop: sometimes(0.25, 0.005, 0.1),
      pause: sometimes(0.4, 0.01, 0.3),
      stall: sometimes(0.3, 0.01, 0.2),
      failSync: sometimes(0.25, 0.005, 0.1),
      failFlush: sometimes(0.2, 0.005, 0.1),
      wipe: sometimes(0.2, 0.01, 0.05),
      cutLink: sometimes(0.4, 0.02, 1),
      clogLink: sometimes(0.3, 0.02, 1),
      partition: sometimes(0.4, 0.02, 0.5),
      strike: sometimes(0.35, 0.1, 1),
      swizzle: apart.chance(0.3) ? apart.scaled(0.05, 0.5) : 0,
      lag: apart.chance(0.4) ? apart.scaled(0.1, 1) : 0,
    },
    downMsMean: isHarsh ? dice.scaled(20, 500) : dice.scaled(50, 5_000),
    pauseMsMean: dice.scaled(20, 4_000),
    partMsMean: dice.scaled(200, 6_000),
    protocolOptions: drawProtocolOptions(dice, mode),
    logLimits: drawLogLimits(dice),
    machineLimits: drawMachineLimits(dice),
    eventLimits: drawEventLimits(dice),
    workload: drawWorkload(dice),
    retention: drawRetention(dice.named('retention')),
  }
}

function drawRetention(dice: Dice): RetentionRates {
  const wildMs = dice.scaled(10_000, 1e12) * (dice.chance(0.5) ? 1 : -1)
  return {
    clockMsMax: dice.scaled(10, 10_000),
    wildMs: dice.chance(0.6) ? wildMs : 0,
    isWildAnew: dice.chance(0.5),
    pieceBytes: Math.round(dice.scaled(300, 20_000)),
    reclaimPassMs: dice.scaled(100, 5_000),
    reclaimDeadShareMin: dice.scaled(0.05, 0.8),
  }
}

function drawProtocolOptions(dice: Dice, mode: Mode): Record<string, number | string> {
  const options: Record<string, number | string> = { mode }
  if (dice.chance(0.3)) {
    options['heartbeatMs'] = dice.whole(40, 200)
    options['electionTimeoutMs'] = dice.whole(600, 1_500)
  }
  if (dice.chance(0.3)) options['windowMax'] = options['heldMax'] = dice.whole(2, 64)
  if (dice.chance(0.2)) options['farBehindMax'] = dice.whole(1, 50)
  if (dice.chance(0.2)) options['messageBytesMax'] = dice.whole(500, 5_000)
  if (dice.chance(0.2)) options['repairsMax'] = dice.whole(1, 4)
  if (dice.chance(0.2)) options['offerTimeoutMs'] = dice.whole(300, 5_000)
  return options
}

function drawLogLimits(dice: Dice): Partial<VirtualLogLimits> {
  return {
    saveSlotsMax: dice.chance(0.7) ? dice.whole(4, 100) : 1_024,
    offersMax: dice.whole(1, 8),
    batchCommandsMax: dice.chance(0.3) ? dice.whole(1, 4) : 1_024,
    sessionsMax: dice.chance(0.3) ? dice.whole(2, 8) : 10_000,
    sessionAnswersMax: dice.chance(0.2) ? dice.whole(4, 32) : 4_096,
  }
}

function drawMachineLimits(dice: Dice): Partial<EventMachineLimits> {
  return {
    idWindow: 1_000_000,
    keysMax: 100_000,
    streamCacheMax: dice.chance(0.4) ? dice.whole(1, 8) : 65_536,
    tailBytesMax: dice.chance(0.6) ? dice.whole(1, 4_000) : 16 * 1024 * 1024,
    flushEventsMax: dice.chance(0.4) ? dice.whole(1, 32) : 8_192,
    flushDelayMs: dice.whole(0, 200),
    unflushedEventsMax: dice.chance(0.2) ? dice.whole(20, 100) : 200_000,
  }
}

function drawEventLimits(dice: Dice): Partial<EventLimits> {
  return {
    subscriptionPageEventsMax: dice.chance(0.5) ? dice.whole(1, 10) : 512,
    subscriptionPageBytesMax: dice.chance(0.3) ? dice.whole(100, 2_000) : 1024 * 1024,
    pageBytesMax: dice.chance(0.3) ? dice.whole(200, 5_000) : 8 * 1024 * 1024,
    fellBehindEvents: dice.chance(0.5) ? dice.whole(1, 20) : 2_048,
    checkpointIntervalMs: dice.whole(50, 5_000),
  }
}
