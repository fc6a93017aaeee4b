/** Cluster-wide options of the protocol; every node has the same. Milliseconds, slots and bytes as the names say. */
export interface Settings {
  readonly mode: 'multi' | 'basic'
  /** A leader's heartbeat; without a leader, the status that every node sends. */
  readonly heartbeatMs: number
  /** Silence after which a follower stands; drawn from once to twice this. Twice this is the limit for check-quorum and for a disk without progress. */
  readonly electionTimeoutMs: number
  /** Until a message that was not answered is sent again; doubles up to eightfold. */
  readonly retransmitMs: number
  /** Until an offer is given up that was forwarded to the leader, or cannot be decided without one. */
  readonly offerTimeoutMs: number
  /** Until a barrier is refused. */
  readonly readTimeoutMs: number
  /** How far a leader proposes above what is decided; beyond it an offer is refused. */
  readonly windowMax: number
  /** Bytes of undecided entries at a leader, or of queued offers without one; beyond it an offer is refused. */
  readonly windowBytesMax: number
  /** Slots that an acceptor holds above its decided prefix; beyond it an accept is ignored, unless it is for the very next slot. */
  readonly heldMax: number
  /** The same in bytes. */
  readonly heldBytesMax: number
  /** Offers and barriers that wait for an answer; beyond it they are refused. */
  readonly waitingMax: number
  /** A candidate that is further behind than this gets no pre-vote; it catches up first. */
  readonly farBehindMax: number
  /** Entries put into one accept message, in bytes (a larger entry goes alone), and sent again per peer and tick. */
  readonly messageBytesMax: number
  /** Repair rounds at a time, without a leader. */
  readonly repairsMax: number
}

const defaults: Settings = {
  mode: 'multi',
  heartbeatMs: 100,
  electionTimeoutMs: 800,
  retransmitMs: 400,
  offerTimeoutMs: 1_000,
  readTimeoutMs: 2_000,
  windowMax: 1_024,
  windowBytesMax: 16 * 2 ** 20,
  heldMax: 4_096,
  heldBytesMax: 24 * 2 ** 20,
  waitingMax: 4_096,
  farBehindMax: 1_024,
  messageBytesMax: 2 ** 20,
  repairsMax: 16,
}

/** Without a leader an offer may have to lose a few duels first. */
const basicDefaults: Settings = { ...defaults, mode: 'basic', offerTimeoutMs: 3_000 }

/** Throws a RangeError that names the option. */
export function parseSettings(options: unknown): Settings {
  if (options !== undefined && (typeof options !== 'object' || options === null || Array.isArray(options))) {
    throw new RangeError('the options of paxos are an object')
  }
  const given = new Map(Object.entries(options ?? {}))
  const mode = given.get('mode') ?? 'multi'
  if (mode !== 'multi' && mode !== 'basic') throw new RangeError(`paxos option mode is 'multi' or 'basic', not ${JSON.stringify(mode)}`)
  const base = mode === 'multi' ? defaults : basicDefaults
  const known = new Set(Object.keys(base))
  for (const [name, value] of given) {
    if (!known.has(name)) throw new RangeError(`paxos has no option ${JSON.stringify(name)}; it has ${[...known].join(', ')}`)
    if (name !== 'mode' && (!Number.isSafeInteger(value) || Number(value) < 1)) {
      throw new RangeError(`paxos option ${name} is a whole number from 1, not ${JSON.stringify(value)}`)
    }
  }
  const settings: Settings = { ...base, ...Object.fromEntries(given), mode }
  if (settings.electionTimeoutMs < settings.heartbeatMs * 3) {
    throw new RangeError(
      `paxos option electionTimeoutMs (${settings.electionTimeoutMs}) is at least three times heartbeatMs (${settings.heartbeatMs})`,
    )
  }
  if (settings.heldMax < settings.windowMax || settings.heldBytesMax < settings.windowBytesMax) {
    throw new RangeError('paxos options heldMax and heldBytesMax are at least windowMax and windowBytesMax')
  }
  return settings
}
