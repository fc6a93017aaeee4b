/** What a checker found. Kinds are stable names; the message quotes the values for people. */
export interface Violation {
  readonly kind:
    /** No order explains what the clients saw. */
    | 'linearizability'
    /** Two nodes differ on what a slot holds, or on what the machine answered there. */
    | 'agreement'
    /** Acknowledged and not in the log. */
    | 'lost'
    /** In the log twice. */
    | 'doubled'
    /** Only a part of an append, or not in one piece. */
    | 'torn'
    /** At another place than was acknowledged, or unequal copies of one event. */
    | 'misplaced'
    /** In the log, and no client asked for it. */
    | 'invented'
    /** An answer that a sequential model does not give. */
    | 'verdict'
    /** A subscription skipped, doubled or reordered. */
    | 'subscription'
    /** A filtered page is not what passes the filter, or not as far as it said. */
    | 'query'
    /** A consumer group skipped an event, broke an order, or forgot an acknowledgement. */
    | 'group'
    /** A change of what streams keep was forgotten, or is not as it was asked for. */
    | 'retention'
    /** A node showed what it had hidden. */
    | 'comeback'
    /** A session went back. */
    | 'session'
    /** A node failed where nothing was wrong with its machine, or went on where something was. */
    | 'node'
    /** A healed quorum did not converge and serve in time. */
    | 'liveness'
    /** The same seed gave two different runs. */
    | 'determinism'
    /** A step that the specification does not allow. */
    | 'specification'
  readonly message: string
}
