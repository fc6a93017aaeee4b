/** Proposes a group's commands one at a time: what comes meanwhile goes with the next. One of unknown fate is followed by a rest. */
import type { Scheduler } from '@synod/transport'
import { EventStoreError } from '../event-store-error.ts'
import type { GroupCommand } from './group-command.ts'
import type { GroupVerdict } from './group-verdict.ts'

/** A command, and what to do when its fate is known, or not. */
export interface Step {
  readonly command: GroupCommand
  readonly onVerdict: (verdict: GroupVerdict) => void
  readonly onUnknown: (error: EventStoreError) => void
}

export interface GroupPumpOptions {
  readonly scheduler: Scheduler
  /** Rejects when nobody knows what came of it, or nothing did. */
  readonly propose: (command: GroupCommand) => Promise<GroupVerdict>
  /** The next one, if there is anything to say. */
  readonly next: () => Step | undefined
}

const restMs = { first: 50, most: 1000 }

export class GroupPump {
  readonly #options: GroupPumpOptions
  #isRunning = false

  constructor(options: GroupPumpOptions) {
    this.#options = options
  }

  /** There may be something to say. */
  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    void this.#run()
  }

  async #run(): Promise<void> {
    const { next, propose } = this.#options
    let ms = restMs.first
    for (let step = next(); step !== undefined; step = next()) {
      const outcome = await propose(step.command).catch((error: unknown) => asStoreError(error))
      if (outcome instanceof EventStoreError) {
        step.onUnknown(outcome)
        await this.#rest(ms)
        ms = Math.min(restMs.most, ms * 2)
      } else {
        step.onVerdict(outcome)
        ms = restMs.first
      }
    }
    this.#isRunning = false
  }

  #rest(ms: number): Promise<void> {
    const { scheduler } = this.#options
    return new Promise((resolve) => scheduler.at(scheduler.now() + ms, resolve))
  }
}

/** What a consumer is told when its node cannot go on. */
export function asStoreError(error: unknown): EventStoreError {
  if (error instanceof EventStoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new EventStoreError('unavailable', `the group cannot go on at this node: ${message}. Consume at another one`, { cause: error })
}
