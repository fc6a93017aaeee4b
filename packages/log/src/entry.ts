import type { Envelope } from './envelope.ts'

/** What a slot holds. (A seal, which ends an epoch, comes with reconfiguration.) */
export type Entry =
  /** One batch is one slot. At most one of the commands opens a session. */
  | { readonly kind: 'commands'; readonly commands: readonly Envelope[] }
  /** Closes a hole, opens a leader's ballot. */
  | { readonly kind: 'noop' }
