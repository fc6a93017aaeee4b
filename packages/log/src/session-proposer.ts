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
  /** Sequences without an answer yet. */
  readonly open: Set<number>
  /** All below have their answers. */
  floor: number
}

const openMs = 3000

export class SessionProposer<O> {
  readonly #log: OrderedLog<O>
  readonly #scheduler: Scheduler
  /** The session in use. */
  #opened: Session | undefined
  #opening: Promise<Session | Refused> | undefined

  constructor(log: OrderedLog<O>, scheduler: Scheduler = systemScheduler) {
    this.#log = log
    this.#scheduler = scheduler
  }

  /** Resolves always, as `OrderedLog.propose` does. */
  propose(command: SessionCommand, options: { readonly signal?: AbortSignal } = {}): Promise<Outcome<O>> {
    return this.#opened === undefined ? this.#proposeInNew(command, options) : this.#proposeIn(this.#opened, command, options)
  }

  async #proposeIn(session: Session, command: SessionCommand, options: { readonly signal?: AbortSignal }): Promise<Outcome<O>> {
    const sequence = session.next++
    session.open.add(sequence)
    const floor = raisedFloor(session)
    const { version, principal, body, blobs } = command
    const outcome = await this.#log.propose({ version, session: session.id, sequence, floor, principal, body, blobs }, options)
    // A sequence of unknown fate stays open: its answer must not be forgotten while nobody has it. Nobody will ask
    // again through this proposer though, so it is let go; the log refuses to execute it below the floor.
    session.open.delete(sequence)
    // Another command may have opened a new one meanwhile.
    if (outcome.fate === 'unknown' && outcome.why === 'sessionExpired' && this.#opened === session) this.#opened = undefined
    return outcome
  }

  async #proposeInNew(command: SessionCommand, options: { readonly signal?: AbortSignal }): Promise<Outcome<O>> {
    this.#opening ??= this.#openNew()
    const session = (await raceSignal(this.#opening, options.signal)) ?? { fate: 'never', why: 'notServing' }
    return 'fate' in session ? session : this.#proposeIn(session, command, options)
  }

  async #openNew(): Promise<Session | Refused> {
    const timeout = new AbortController()
    const cancel = this.#scheduler.at(this.#scheduler.now() + openMs, () => timeout.abort())
    const opened = await this.#log.openSession({ signal: timeout.signal })
    cancel()
    this.#opening = undefined
    if (opened.fate === 'answered') return (this.#opened = { id: opened.slot, next: 1, open: new Set(), floor: 1 })
    return { fate: 'never', why: opened.fate === 'never' ? opened.why : 'notServing' }
  }
}

/** Counted up and not looked up: the first of a set stands behind the holes of all that were deleted before it. */
function raisedFloor(session: Session): number {
  while (session.floor < session.next && !session.open.has(session.floor)) session.floor++
  return session.floor
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
