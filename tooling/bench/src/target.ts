/** A store under load. */
export interface Target {
  readonly name: string
  /** What is true of an event when its append is answered. */
  readonly durable: string
  /** How the load reaches it. */
  readonly client: string
  /** Opens what a load of this many at once needs; later calls of `append` use it. */
  prepare(inFlight: number): Promise<void>
  /** Appends one event; resolves when the store acknowledged it, rejects in any other case. `turn` counts up and chooses the stream. */
  append(turn: number): Promise<void>
  /** Stops all that runs and removes its data. Idempotent. */
  close(): Promise<void>
}

/** Appends go to as many streams (subjects) by turns. */
export const streamsCount = 64
