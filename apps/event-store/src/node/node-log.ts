/**
 * What an operator reads: JSON lines on standard error, each with a stable `event` and stable fields beside the message.
 * docs/operating.md lists them, and a test holds the two against each other. A request is never logged at `info`.
 */
import type { Logger } from 'pino'

/** The fields of each event. Times are in milliseconds. */
export interface NodeEventFields {
  readonly starting: { readonly config: string; readonly cluster: string; readonly nodes: number; readonly runtime: string }
  readonly listening: { readonly host: string; readonly port: number }
  readonly exposed: { readonly host: string }
  readonly clusterSize: { readonly nodes: number }
  readonly opened: { readonly state: string; readonly appliedSlot: number; readonly position: number }
  readonly takesNoPart: { readonly state: string; readonly why: string }
  readonly ready: { readonly leader: string | null; readonly appliedSlot: number; readonly position: number; readonly milliseconds: number }
  readonly unavailable: { readonly why: string }
  readonly catchingUp: { readonly appliedSlot: number; readonly decidedSlot: number }
  readonly caughtUp: { readonly appliedSlot: number; readonly slots: number; readonly milliseconds: number }
  readonly leaderChanged: { readonly leader: string; readonly was: string | null; readonly milliseconds: number }
  readonly leaderLost: { readonly was: string }
  readonly peerConnected: { readonly peer: string }
  readonly peerLost: { readonly peer: string }
  readonly storeSlow: { readonly milliseconds: number; readonly commits: number }
  readonly storeWarning: object
  readonly transportWarning: object
  readonly stopping: { readonly why: string }
  readonly steppingDown: object
  readonly steppedDown: { readonly leader: string; readonly milliseconds: number }
  readonly leadershipKept: { readonly milliseconds: number }
  readonly stopped: { readonly milliseconds: number }
  readonly stopCut: { readonly milliseconds: number }
  readonly failed: { readonly code: string; readonly err: Error }
}

export type NodeEvent = keyof NodeEventFields

export const nodeEventLevels = {
  starting: 'info',
  listening: 'info',
  exposed: 'warn',
  clusterSize: 'warn',
  opened: 'info',
  takesNoPart: 'error',
  ready: 'info',
  unavailable: 'warn',
  catchingUp: 'info',
  caughtUp: 'info',
  leaderChanged: 'info',
  leaderLost: 'warn',
  peerConnected: 'info',
  peerLost: 'warn',
  storeSlow: 'warn',
  storeWarning: 'warn',
  transportWarning: 'warn',
  stopping: 'info',
  steppingDown: 'info',
  steppedDown: 'info',
  leadershipKept: 'warn',
  stopped: 'info',
  stopCut: 'error',
  failed: 'fatal',
} as const satisfies Readonly<Record<NodeEvent, 'info' | 'warn' | 'error' | 'fatal'>>

export class NodeLog {
  #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** For what has no event of its own: an error of the HTTP layer that nobody foresaw. */
  get logger(): Logger {
    return this.#logger
  }

  /** Every further line carries the node's name. */
  name(node: string): void {
    this.#logger = this.#logger.child({ node })
  }

  tell<E extends NodeEvent>(event: E, fields: NodeEventFields[E], message: string): void {
    const line: object = { event, ...fields }
    this.#logger[nodeEventLevels[event]](line, message)
  }
}
