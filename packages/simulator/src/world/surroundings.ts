import type { ProtocolDefinition } from '@synod/consensus'
import type { PaxosMessage } from '@synod/consensus-paxos'
import type { Genesis } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { Agreement } from '../checkers/agreement.ts'
import type { Violation } from '../checkers/violation.ts'
import type { Network } from './network.ts'
import type { SeedPlan } from './seed-plan.ts'
import type { SimNode } from './sim-node.ts'
import type { Tally } from './tally.ts'
import type { Trace } from './trace.ts'
import type { World } from './world.ts'

/** What a node stands in. */
export interface Surroundings {
  readonly world: World
  readonly plan: SeedPlan
  readonly network: Network
  readonly trace: Trace
  readonly tally: Tally
  readonly agreement: Agreement
  /** Faults of the product, by name, for showing that the harness finds them. */
  readonly faultsPlanted: ReadonlySet<string>
  /** Stands around every core, for instance to record its steps. */
  readonly watch: (definition: ProtocolDefinition<PaxosMessage>) => ProtocolDefinition<PaxosMessage>
  readonly genesisOf: (node: NodeId) => Genesis
  readonly onViolation: (violation: Violation) => void
  readonly onDown: (node: SimNode) => void
}
