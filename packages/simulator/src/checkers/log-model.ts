/**
 * The decided log, run through a machine of the plainest make: which commands are executed, and what each is answered. It
 * shares the format of commands with the product, and no rule: sessions, keys, ids and expectations are written again.
 */
import { bytesToHex } from '@synod/codec'
import { decodeAppendCommand, type Verdict } from '@synod/events'
import type { Entry, Envelope } from '@synod/log'
import { isAsExpected, type Expected } from './history.ts'

export interface LogModelLimits {
  readonly sessionsMax: number
  readonly sessionAnswersMax: number
  readonly idWindow: number
  readonly keysMax: number
}

/** Canonical text of what the machine answered; `verdictText` makes the same of a Verdict. */
export type ModelAnswer = string

interface Session {
  floor: number
  /** In the order of execution, as far back as answers are kept. */
  readonly executed: Set<number>
}

interface ModelEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
}

const idOffset = 9

export class LogModel {
  readonly #limits: LogModelLimits
  /** The least recently used first. */
  readonly #sessions = new Map<number, Session>()
  readonly #revisions = new Map<string, number>()
  readonly #ids = new Map<string, ModelEvent>()
  readonly #keys = new Map<string, { readonly digest: string; readonly answer: ModelAnswer }>()
  #head = 0

  constructor(limits: LogModelLimits) {
    this.#limits = limits
  }

  /** The last position. */
  get head(): number {
    return this.#head
  }

  /** The answers of the commands that are executed, by their place in the slot. */
  applySlot(slot: number, entry: Entry): ReadonlyMap<number, ModelAnswer> {
    const answers = new Map<number, ModelAnswer>()
    if (entry.kind === 'noop') return answers
    entry.commands.forEach((command, at) => {
      if (command.session === 0) this.#open(slot)
      else if (this.#isFresh(command)) answers.set(at, this.#judge(command))
    })
    return answers
  }

  #open(slot: number): void {
    this.#sessions.set(slot, { floor: 1, executed: new Set() })
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > this.#limits.sessionsMax && oldest !== undefined) this.#sessions.delete(oldest)
  }

  #isFresh({ session: id, sequence, floor }: Envelope): boolean {
    const session = this.#sessions.get(id)
    if (session === undefined) return false
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    raiseFloor(session, floor)
    if (sequence < session.floor || session.executed.has(sequence)) return false
    session.executed.add(sequence)
    const [oldest = 0] = session.executed
    if (session.executed.size > this.#limits.sessionAnswersMax) raiseFloor(session, oldest + 1)
    return true
  }

  #judge(command: Envelope): ModelAnswer {
    const { writes, key } = decodeAppendCommand(command.body, command.blobs.length)
    const [write] = writes
    if (write === undefined || writes.length > 1) throw new Error('the model knows appends to one stream')
    const ids = command.blobs.map((blob) => bytesToHex(blob.subarray(idOffset, idOffset + 16)))
    if (key === undefined) return this.#append(write.stream, write.expected, ids)
    const name = JSON.stringify([command.principal, key.key])
    const known = this.#keys.get(name)
    const digest = bytesToHex(key.digest)
    if (known !== undefined) return known.digest === digest ? known.answer : 'keyReused'
    const answer = this.#append(write.stream, write.expected, ids)
    this.#keys.set(name, { digest, answer })
    const [oldest] = this.#keys.keys()
    if (this.#keys.size > this.#limits.keysMax && oldest !== undefined) this.#keys.delete(oldest)
    return answer
  }

  #append(stream: string, expected: Expected, ids: readonly string[]): ModelAnswer {
    const found = ids.map((id) => this.#recognised(id))
    const known = found.findIndex((event) => event !== undefined)
    if (known >= 0) {
      const wrong = found.findIndex(
        (event, at) => event?.stream !== stream || (at > 0 && event.revision <= (found[at - 1]?.revision ?? -1)),
      )
      const last = found.at(-1)
      if (wrong < 0 && last !== undefined) return `appended ${last.position} ${last.revision}`
      return `eventIdConflict ${ids[found[wrong] === undefined ? known : wrong]}`
    }
    const twice = ids.find((id, at) => ids.indexOf(id) < at)
    if (twice !== undefined) return `eventIdConflict ${twice}`
    const actual = this.#revisions.get(stream) ?? -1
    if (!isAsExpected(expected, actual)) return `wrongExpectedRevision ${actual}`
    ids.forEach((id, at) => this.#ids.set(id, { stream, revision: actual + 1 + at, position: ++this.#head }))
    this.#revisions.set(stream, actual + ids.length)
    return `appended ${this.#head} ${actual + ids.length}`
  }

  #recognised(id: string): ModelEvent | undefined {
    const event = this.#ids.get(id)
    return event !== undefined && event.position > this.#head - this.#limits.idWindow ? event : undefined
  }
}

/** Below it nothing is known any more. */
function raiseFloor(session: Session, floor: number): void {
  session.floor = Math.max(session.floor, floor)
  for (const known of session.executed) if (known < session.floor) session.executed.delete(known)
}

export function verdictText(verdict: Verdict): ModelAnswer {
  switch (verdict.kind) {
    case 'appended':
      return `appended ${verdict.position} ${verdict.revisions.join(' ')}`
    case 'wrongExpectedRevision':
      return `wrongExpectedRevision ${verdict.violations.map(({ actual }) => actual).join(' ')}`
    case 'eventIdConflict':
      return `eventIdConflict ${bytesToHex(verdict.id)}`
    case 'keyReused':
      return 'keyReused'
    case 'malformed':
      return `malformed ${verdict.why}`
  }
}
