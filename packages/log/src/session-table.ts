/**
 * The replicated session table: which commands were executed, and what was answered. It changes by decided commands only,
 * so that every node has the same one and nobody's clock expires anything. An unknown session is refused, never executed:
 * the command may have been executed before the session was forgotten.
 */
import type { ByteReader, ByteWriter, Bytes } from '@synod/codec'
import type { Slot } from './slot.ts'

interface Session<O> {
  /** Sequences below were answered, or never will be; nothing is known of them. */
  floor: number
  /** By sequence, none below the floor, in the order of execution. */
  readonly answers: Map<number, Answer<O>>
}

export interface Answer<O> {
  readonly slot: Slot
  readonly output: O
}

export type Verdict<O> =
  | { readonly kind: 'new' }
  | { readonly kind: 'answered'; readonly answer: Answer<O> }
  /** The session is unknown, or the sequence is below its floor. */
  | { readonly kind: 'expired' }

export interface SessionTableLimits {
  readonly sessionsMax: number
  readonly sessionAnswersMax: number
  readonly answersMax: number
}

/** Of one step of encoding. */
const stepAnswers = 2048
const fresh = { kind: 'new' } as const
const expired = { kind: 'expired' } as const

export class SessionTable<O> {
  readonly #limits: SessionTableLimits
  /** In the order of last use: the first is the one to go. */
  readonly #sessions = new Map<Slot, Session<O>>()
  /** The last of them. */
  #newest: { readonly id: Slot; readonly session: Session<O> } | undefined
  /** Of all sessions together. */
  #answers = 0

  constructor(limits: SessionTableLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#sessions.size
  }

  /** The slot of the opening command is the session's id. */
  open(id: Slot): void {
    const session = { floor: 1, answers: new Map<number, Answer<O>>() }
    this.#sessions.set(id, session)
    this.#newest = { id, session }
    this.#evict()
  }

  /** Marks the session as used and forgets what its client has. */
  judge(id: Slot, sequence: number, floor: number): Verdict<O> {
    const session = this.#use(id)
    if (session === undefined) return expired
    if (floor > session.floor) this.#raiseFloor(session, floor)
    const answer = session.answers.get(sequence)
    if (answer !== undefined) return { kind: 'answered', answer }
    return sequence < session.floor ? expired : fresh
  }

  /** After `judge` of the same session. */
  record(id: Slot, sequence: number, answer: Answer<O>): void {
    if (this.#newest?.id !== id) throw new Error(`session ${id} recorded before it was judged`)
    const { session } = this.#newest
    session.answers.set(sequence, answer)
    this.#answers++
    if (session.answers.size > this.#limits.sessionAnswersMax) this.#dropOldest(session)
    this.#evict()
  }

  /** In steps of about a millisecond; the table must not change between them. */
  *encode(writer: ByteWriter, encodeOutput: (output: O) => Bytes): Generator<void, void, undefined> {
    writer.u32(this.#sessions.size)
    let inStep = 0
    for (const [id, { floor, answers }] of this.#sessions) {
      writer.u53(id).u53(floor).u32(answers.size)
      for (const [sequence, { slot, output }] of answers) {
        writer.u53(sequence).u53(slot).bytes(encodeOutput(output))
        if (++inStep % stepAnswers === 0) yield
      }
      if (++inStep % stepAnswers === 0) yield
    }
  }

  /** Throws a MalformedError. */
  decode(reader: ByteReader, decodeOutput: (bytes: Bytes) => O): void {
    for (let left = reader.count(20); left > 0; left--) {
      const id = reader.u53()
      const session: Session<O> = { floor: reader.u53(), answers: new Map() }
      for (let answers = reader.count(20); answers > 0; answers--) {
        const sequence = reader.u53()
        session.answers.set(sequence, { slot: reader.u53(), output: decodeOutput(reader.bytes()) })
        this.#answers++
      }
      this.#sessions.set(id, session)
    }
  }

  #use(id: Slot): Session<O> | undefined {
    if (this.#newest?.id === id) return this.#newest.session
    const session = this.#sessions.get(id)
    if (session === undefined) return undefined
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    this.#newest = { id, session }
    return session
  }

  #raiseFloor(session: Session<O>, floor: number): void {
    const { answers } = session
    const before = answers.size
    // Usually a few: counted up, as an iterator for each command would cost more than what it finds.
    if (floor - session.floor <= before) for (let known = session.floor; known < floor; known++) answers.delete(known)
    else for (const known of answers.keys()) if (known < floor) answers.delete(known)
    session.floor = floor
    this.#answers -= before - answers.size
  }

  #dropOldest(session: Session<O>): void {
    const [oldest] = session.answers.keys()
    if (oldest !== undefined) this.#raiseFloor(session, oldest + 1)
  }

  /** The one just used stays, whatever it holds: it has a bound of its own. */
  #evict(): void {
    const { sessionsMax, answersMax } = this.#limits
    if (this.#sessions.size <= sessionsMax && this.#answers <= answersMax) return
    for (const [oldest, { answers }] of this.#sessions) {
      if (this.#sessions.size === 1 || (this.#sessions.size <= sessionsMax && this.#answers <= answersMax)) return
      this.#sessions.delete(oldest)
      this.#answers -= answers.size
    }
  }
}
