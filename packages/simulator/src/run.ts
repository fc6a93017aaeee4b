import type { HistoryOperation } from './checkers/history.ts'
import type { Violation } from './checkers/violation.ts'
import type { BoundaryClient, BoundaryHistory } from './workload/boundary-client.ts'
import type { Client } from './workload/client.ts'
import type { GroupConsumer, GroupWatched } from './workload/group-consumer.ts'
import type { RetentionClient, RetentionHistory } from './workload/retention-client.ts'
import type { Subscriber } from './workload/subscriber.ts'
import type { Dice } from './world/dice.ts'
import type { FaultInjector } from './world/fault-injector.ts'
import type { SimNode } from './world/sim-node.ts'
import type { Surroundings } from './world/surroundings.ts'

/** What is going on in a run. */
export interface Run extends Surroundings {
  readonly dice: Dice
  readonly nodes: readonly SimNode[]
  readonly clients: readonly Client[]
  readonly subscribers: readonly Subscriber[]
  readonly consumers: readonly GroupConsumer[]
  /** Absent: nobody consumes. */
  readonly group?: GroupWatched
  readonly boundaryClients: readonly BoundaryClient[]
  readonly retentionClients: readonly RetentionClient[]
  readonly history: HistoryOperation[]
  readonly boundaries: BoundaryHistory
  readonly retention: RetentionHistory
  readonly injector: FaultInjector
  /** Those that clients ask. */
  readonly asked: { nodes: readonly SimNode[] }
  readonly violations: Violation[]
}
