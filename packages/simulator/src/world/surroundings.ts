import type { Genesis } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { Agreement } from '../checkers/agreement.ts'
import type { Violation } from '../checkers/violation.ts'
import type { TraceRecorder } from '../specification/trace-recorder.ts'
import type { Archive } from './archive.ts'
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
  /** Writes down what cores do, for the specification. */
  readonly recorder: TraceRecorder
  /** What nodes gave back of their logs. */
  readonly archive: Archive
  readonly genesisOf: (node: NodeId) => Genesis
  readonly onViolation: (violation: Violation) => void
  readonly onDown: (node: SimNode) => void
}
