/**
 * One session on this node's log: numbers commands, so that the log may offer each as often as it must and executes it at
 * most once. Opens its session when first needed, and another when the log forgot it.
 */
import type { Bytes } from '@synod/codec'
import { systemScheduler, type Scheduler } from '@synod/transport'
import type { OrderedLog, Outcome } from './ordered-log.ts'
import type { Slot } from './slot.ts'

export interface SessionCommand {
  readonly version: number
  readonly principal: string
  readonly body: Bytes
  readonly blobs: readonly Bytes[]
}

/** The command itself was sent nowhere, whatever became of the session's opening. */
type Refused = Extract<Outcome<never>, { readonly fate: 'never' }>

interface Session {
  readonly id: Slot
  next: number
  /** Sequences without an answer yet, ascending because they are added in order. */
  readonly open: Set<number>
}

const openMs = 3000

export class SessionProposer<O> {
  readonly #log: OrderedLog<O>
  readonly #scheduler: Scheduler
  #session: Promise<Session | Refused> | undefined

  constructor(log: OrderedLog<O>, scheduler: Scheduler = systemScheduler) {
    this.#log = log
    this.#scheduler = scheduler
  }

  /** Resolves always, as `OrderedLog.propose` does. */
  async propose(command: SessionCommand, options: { readonly signal?: AbortSignal } = {}): Promise<Outcome<O>> {
    this.#session ??= this.#openNew()
    const opening = this.#session
    const session = (await raceSignal(opening, options.signal)) ?? { fate: 'never', why: 'notServing' }
    if ('fate' in session) return session
    const sequence = session.next++
    session.open.add(sequence)
    const [floor = sequence] = session.open
    const outcome = await this.#log.propose({ ...command, session: session.id, sequence, floor }, options)
    // A sequence of unknown fate stays open: its answer must not be forgotten while nobody has it. Nobody will ask
    // again through this proposer though, so it is let go; the log refuses to execute it below the floor.
    session.open.delete(sequence)
    // Another command may have opened a new one meanwhile.
    if (outcome.fate === 'unknown' && outcome.why === 'sessionExpired' && this.#session === opening) this.#session = undefined
    return outcome
  }

  async #openNew(): Promise<Session | Refused> {
    const timeout = new AbortController()
    const cancel = this.#scheduler.at(this.#scheduler.now() + openMs, () => timeout.abort())
    const opened = await this.#log.openSession({ signal: timeout.signal })
    cancel()
    if (opened.fate === 'answered') return { id: opened.slot, next: 1, open: new Set() }
    this.#session = undefined
    return { fate: 'never', why: opened.fate === 'never' ? opened.why : 'notServing' }
  }
}

async function raceSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (signal === undefined) return promise
  if (signal.aborted) return undefined
  let stop = (): void => {}
  const aborted = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
