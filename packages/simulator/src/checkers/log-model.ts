/**
 * The decided log, run through a machine of the plainest make: which commands are executed, and what each is answered. It
 * shares the format of commands with the product, and no rule: sessions, keys, ids and expectations are written again.
 */
import { bytesToHex } from '@synod/codec'
import { decodeRecordBody } from '@synod/event-record'
import {
  commandKind,
  decodeAppendCommand,
  kindReader,
  readAtomicAppend,
  readRetentionCommand,
  readTick,
  type AppendCommand,
  type Verdict,
} from '@synod/events'
import type { Entry, Envelope } from '@synod/log'
import { isAsExpected } from './history.ts'
import { fitsItem } from './matching.ts'
import { RetentionModel, type Keepable, type StreamChange } from './retention-model.ts'

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

/** An event of the log where it stands. */
export interface ModelEvent extends Keepable {
  readonly stream: string
  readonly type: string
  readonly tags: readonly string[]
  readonly record: Uint8Array
  /** The first one after its stream was deleted. */
  readonly isReborn: boolean
}

type Labelled = Pick<ModelEvent, 'type' | 'tags' | 'record'> & { readonly id: string }

const idOffset = 9

export class LogModel {
  readonly #limits: LogModelLimits
  /** The least recently used first. */
  readonly #sessions = new Map<number, Session>()
  readonly #retention = new RetentionModel()
  readonly #ids = new Map<string, ModelEvent>()
  readonly #events: ModelEvent[] = []
  readonly #keys = new Map<string, { readonly digest: string; readonly answer: ModelAnswer }>()
  #head = 0

  constructor(limits: LogModelLimits) {
    this.#limits = limits
  }

  /** The last position. */
  get head(): number {
    return this.#head
  }

  /** All there ever were. */
  get events(): readonly ModelEvent[] {
    return this.#events
  }

  /** The changes of what a stream keeps; the first is that of version 1. */
  changesOf(stream: string): readonly StreamChange[] {
    return this.#retention.changesOf(stream)
  }

  /**
   * The answers of the commands that are executed, by their place in the slot; undefined for those of which the model says nothing,
   * which are those of groups.
   */
  applySlot(slot: number, entry: Entry): ReadonlyMap<number, ModelAnswer | undefined> {
    const answers = new Map<number, ModelAnswer | undefined>()
    if (entry.kind === 'noop') return answers
    this.#retention.begin(slot)
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

  #judge(command: Envelope): ModelAnswer | undefined {
    switch (commandKind(command)) {
      case 'append':
        return this.#judgeAppend(command)
      case 'retention':
        return this.#retention.change(readRetentionCommand(kindReader(command.body), command.blobs.length), this.#head)
      case 'tick':
        this.#retention.tick(readTick(kindReader(command.body), command.blobs.length), this.#head)
        return 'retention ticked'
      default:
        return undefined
    }
  }

  #judgeAppend(command: Envelope): ModelAnswer {
    const asked = decoded(command)
    const { key } = asked
    const events = command.blobs.map((blob) => {
      const { type, tags } = decodeRecordBody(blob)
      return { type, tags, record: blob, id: bytesToHex(blob.subarray(idOffset, idOffset + 16)) }
    })
    if (key === undefined) return this.#append(asked, events)
    const name = JSON.stringify([command.principal, key.key])
    const known = this.#keys.get(name)
    const digest = bytesToHex(key.digest)
    if (known !== undefined) return known.digest === digest ? known.answer : 'keyReused'
    const answer = this.#append(asked, events)
    this.#keys.set(name, { digest, answer })
    const [oldest] = this.#keys.keys()
    if (this.#keys.size > this.#limits.keysMax && oldest !== undefined) this.#keys.delete(oldest)
    return answer
  }

  #append(asked: AppendCommand, events: readonly Labelled[]): ModelAnswer {
    const streams = asked.writes.flatMap(({ stream, count }) => Array.from({ length: count }, () => stream))
    const found = events.map(({ id }) => this.#recognised(id))
    const known = found.findIndex((event) => event !== undefined)
    if (known >= 0) {
      const wrong = found.findIndex((event, at) => {
        const before = streams[at - 1] === streams[at] ? (found[at - 1]?.revision ?? -1) : -1
        return event === undefined || event.stream !== streams[at] || event.revision <= before
      })
      if (wrong >= 0) return `eventIdConflict ${events[found[wrong] === undefined ? known : wrong]?.id}`
      const revisions = found.filter((_, at) => streams[at] !== streams[at + 1]).map((event) => event?.revision)
      return `appended ${found.at(-1)?.position} ${revisions.join(' ')}`
    }
    const ids = events.map(({ id }) => id)
    const twice = ids.find((id, at) => ids.indexOf(id) < at)
    if (twice !== undefined) return `eventIdConflict ${twice}`
    const buried = asked.writes.findIndex(({ stream }) => this.#retention.isTombstoned(stream))
    if (buried >= 0) return `streamTombstoned ${buried}`
    const refused = this.#refusal(asked)
    if (refused !== undefined) return refused
    const before = this.#head
    events.forEach(({ id, ...labelled }, at) => {
      const stream = streams[at] ?? ''
      const [isReborn, revision] = [this.#retention.isDeleted(stream), this.#retention.nextRevision(stream)]
      const event = { ...labelled, stream, revision, position: ++this.#head, isReborn }
      this.#retention.append(stream, event)
      this.#ids.set(id, event)
      this.#events.push(event)
    })
    this.#retention.hide(before)
    return `appended ${this.#head} ${asked.writes.map(({ stream }) => this.#retention.lastRevision(stream)).join(' ')}`
  }

  /** All that is violated at once. */
  #refusal({ writes, checks, condition }: AppendCommand): ModelAnswer | undefined {
    const wrong = [...writes, ...(checks ?? [])].flatMap(({ stream, expected }, place) => {
      const actual = this.#retention.lastRevision(stream)
      return isAsExpected(expected, actual) ? [] : [`${place}:${actual}`]
    })
    const match =
      condition === undefined
        ? undefined
        : this.#events.findLast(
            (event) =>
              event.position > condition.after && event.hiddenAfter === undefined && condition.items.some((item) => fitsItem(event, item)),
          )
    if (wrong.length === 0 && match === undefined) return undefined
    // Plain appends have an answer of their own.
    return checks === undefined ? `wrongExpectedRevision ${wrong.join(' ')}` : `violated ${wrong.join(' ')} ${match?.position ?? 0}`
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

function decoded({ version, body, blobs }: Envelope): AppendCommand {
  return version === 1 ? decodeAppendCommand(body, blobs.length) : readAtomicAppend(kindReader(body), blobs.length)
}

export function verdictText(verdict: Verdict): ModelAnswer {
  switch (verdict.kind) {
    case 'appended':
      return `appended ${verdict.position} ${verdict.revisions.join(' ')}`
    case 'wrongExpectedRevision':
      return `wrongExpectedRevision ${verdict.violations.map(({ write, actual }) => `${write}:${actual}`).join(' ')}`
    case 'violated':
      return `violated ${verdict.revisions.map(({ place, actual }) => `${place}:${actual}`).join(' ')} ${verdict.position}`
    case 'eventIdConflict':
      return `eventIdConflict ${bytesToHex(verdict.id)}`
    case 'keyReused':
      return 'keyReused'
    case 'malformed':
      return `malformed ${verdict.why}`
    case 'streamTombstoned':
      return `streamTombstoned ${verdict.write}`
    case 'retention':
      return retentionText(verdict)
    case 'conditionTooBroad':
    case 'group':
      // Compared between nodes, as text.
      return JSON.stringify(verdict, (_, value: unknown) => (value instanceof Uint8Array ? bytesToHex(value) : value))
  }
}

function retentionText(verdict: Extract<Verdict, { kind: 'retention' }>): ModelAnswer {
  if (verdict.outcome === 'changed') return `retention changed ${verdict.version} ${verdict.state}`
  return verdict.outcome === 'wrongExpectedRevision' ? `retention wrongExpectedRevision ${verdict.actual}` : `retention ${verdict.outcome}`
}
