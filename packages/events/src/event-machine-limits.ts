/**
 * The bounds of the machine. `idWindow`, `keysMax` and `conditionScanMax` change verdicts, so they are the same on every node of a cluster and
 * never change: the read side remembers them and refuses to open with others. The rest is one node's own affair.
 */
export interface EventMachineLimits {
  /** An event id is recognised if and only if its position is above head - idWindow. About 38 bytes of memory each. */
  readonly idWindow: number
  /** Idempotency keys remembered; the oldest by log order goes. */
  readonly keysMax: number
  /** What judging one condition may look at, in postings (condition-judge.ts says how they are counted); beyond, it is too broad. */
  readonly conditionScanMax: number
  /** Streams whose last revision is kept in memory beside those with events in the tail; twice as many at times. The least recently used go. */
  readonly streamCacheMax: number
  /** The newest applied events kept in memory for readers at the head, in bytes. What is not yet flushed is kept in any case. */
  readonly tailBytesMax: number
  /** Applied and not yet flushed; what has more than two new terms counts more (flusher.ts). Above three quarters of either, new commands are refused as `busy`; above them, applying waits. */
  readonly unflushedEventsMax: number
  readonly unflushedBytesMax: number
  /** Events at which a flush begins at once, and about as many as one transaction holds. */
  readonly flushEventsMax: number
  /** A smaller flush waits this long for company. Reads do not wait for it: the tail has what is not flushed. */
  readonly flushDelayMs: number
}

export const eventMachineLimits: EventMachineLimits = {
  idWindow: 1_000_000,
  keysMax: 100_000,
  conditionScanMax: 4096,
  streamCacheMax: 65_536,
  tailBytesMax: 16 * 1024 * 1024,
  unflushedEventsMax: 200_000,
  unflushedBytesMax: 48 * 1024 * 1024,
  flushEventsMax: 8192,
  flushDelayMs: 200,
}

/** Throws a RangeError that names the limit. */
export function checkEventMachineLimits(limits: EventMachineLimits): EventMachineLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < (name === 'flushDelayMs' ? 0 : 1))
      throw new RangeError(`limit ${name} must be a positive integer, not ${value}`)
  }
  if (limits.conditionScanMax > 2 ** 20)
    throw new RangeError(`limit conditionScanMax may be at most ${2 ** 20}, not ${limits.conditionScanMax}`)
  // The ring of ids is addressed by 32 bits.
  if (limits.idWindow > 2 ** 28) throw new RangeError(`limit idWindow may be at most ${2 ** 28}, not ${limits.idWindow}`)
  return limits
}
