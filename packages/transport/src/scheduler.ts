/** Time and turns, so that the simulator can own both. Nothing above it reads a clock of its own. */
export interface Scheduler {
  /** Milliseconds of a monotonic clock with an arbitrary zero. */
  now(): number
  /** Runs once at or after `time` (as of `now()`); the returned function cancels. */
  at(time: number, run: () => void): () => void
  /** Runs once, after what is already under way in this turn of the event loop. */
  defer(run: () => void): void
}
