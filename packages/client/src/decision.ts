/**
 * Read, fold, decide, append, and all of it again when somebody was faster: the Decider of functional event sourcing (initialState, evolve,
 * decide) against a stream, or against the events that match a query.
 *
 * Nothing is locked. What was read is what the append assumes: of a stream its last revision, of a query that nothing new matches it (the
 * dynamic consistency boundary of dcb.events). So a decision stands on what was true when its events were written, whoever
 * else decides at the same time. Whoever is overtaken rests for a moment, longer each time and not the same for all, and decides anew.
 */
import type { AppendOptions, Appended, AtomicallyAppended, AtomicWrites, StreamWrite } from './client.ts'
import {
  ConditionFailedError,
  InvalidArgumentError,
  StreamNotFoundError,
  TooManyConflictsError,
  WrongExpectedRevisionError,
} from './client-error.ts'
import type { EventQuery } from './event-query.ts'
import type { EventType, NewEvent, RecordedEvent } from './event-types.ts'
import { pause } from './pause.ts'
import type { StreamInfo, StreamInfoOptions } from './stream-facts.ts'

/** The rules: functions that know no store. They may be called several times. */
export interface Fold<S, Out extends EventType = EventType> {
  /** What is there before the first event. */
  readonly initialState: () => S
  /** What is there after one more event. */
  readonly evolve: (state: S, event: RecordedEvent<Out>) => S
}

type Some<T> = T | readonly T[] | undefined

export interface StreamDecider<S, In extends EventType = EventType, Out extends EventType = In> extends Fold<S, Out> {
  /** The new events of the stream; none, or undefined, when there is nothing to do. What it throws ends the decision, and nothing is written. */
  readonly decide: (state: S) => Some<NewEvent<In>> | Promise<Some<NewEvent<In>>>
}

export interface QueryDecider<S, In extends EventType = EventType, Out extends EventType = In> extends Fold<S, Out> {
  /** What to write where. */
  readonly decide: (state: S) => Some<StreamWrite<In>> | Promise<Some<StreamWrite<In>>>
}

export interface DecideOptions {
  /** Reads and appends at most. Default 10. */
  readonly attemptsMax?: number
  readonly signal?: AbortSignal
}

export interface Decided<S> {
  /** What the decision was made on: without the events that it led to. */
  readonly state: S
  /** Undefined when there was nothing to do. */
  readonly appended: AtomicallyAppended | undefined
  /** 1: nobody was faster. */
  readonly attempts: number
}

/** What a decision needs of its client. */
export interface DecisionStore {
  append(stream: string, events: readonly NewEvent[], options: AppendOptions): Promise<Appended>
  appendAtomically(writes: AtomicWrites, options: { readonly signal?: AbortSignal }): Promise<AtomicallyAppended>
  /** Takes each event; the revision of the last one, those included that the client leaves out; undefined: none is visible. */
  readStream(stream: string, take: (event: RecordedEvent) => void, signal: AbortSignal | undefined): Promise<bigint | undefined>
  streamInfo(stream: string, options: StreamInfoOptions): Promise<Pick<StreamInfo, 'lastRevision'>>
  /** Takes each event that matches; the position up to which all were considered. */
  readQuery(query: EventQuery, take: (event: RecordedEvent) => void, signal: AbortSignal | undefined): Promise<bigint>
}

const attemptsDefault = 10
const restMillisecondsMin = 10
const restMillisecondsMax = 1000

export async function decideOnStream<S>(
  store: DecisionStore,
  stream: string,
  { initialState, evolve, decide }: StreamDecider<S>,
  options: DecideOptions,
): Promise<Decided<S>> {
  const signal = options.signal && { signal: options.signal }
  return attempt(options, async () => {
    const { state, revision } = await readState(store, stream, { initialState, evolve }, options.signal)
    const events = toList(await decide(state))
    if (events.length === 0) return { state, appended: undefined }
    const appended = await store.append(stream, events, { expected: revision ?? 'noStream', ...signal })
    return { state, appended: { position: appended.position, streams: [{ stream, revision: appended.revision }] } }
  })
}

export async function decideOnQuery<S>(
  store: DecisionStore,
  query: EventQuery,
  { initialState, evolve, decide }: QueryDecider<S>,
  options: DecideOptions,
): Promise<Decided<S>> {
  return attempt(options, async () => {
    let state = initialState()
    const after = await store.readQuery(query, (event) => (state = evolve(state, event)), options.signal)
    const writes = toList(await decide(state))
    if (writes.length === 0) return { state, appended: undefined }
    const condition = { failIfEventsMatch: query, after }
    return { state, appended: await store.appendAtomically({ writes, condition }, options.signal ? { signal: options.signal } : {}) }
  })
}

async function attempt<T extends object>(options: DecideOptions, once: () => Promise<T>): Promise<T & { attempts: number }> {
  const { attemptsMax = attemptsDefault, signal } = options
  if (!Number.isSafeInteger(attemptsMax) || attemptsMax < 1) throw new InvalidArgumentError('attemptsMax must be an integer from 1')
  for (let attempts = 1; ; attempts++) {
    try {
      return { ...(await once()), attempts }
    } catch (error) {
      if (!(error instanceof WrongExpectedRevisionError) && !(error instanceof ConditionFailedError)) throw error
      if (attempts >= attemptsMax) throw new TooManyConflictsError(attempts, error)
    }
    await pause(Math.random() * Math.min(restMillisecondsMin * 2 ** attempts, restMillisecondsMax), signal)
  }
}

/** The state after all events that are visible, and the revision that an append has to assume; undefined: there is no such stream. */
async function readState<S>(
  store: DecisionStore,
  stream: string,
  { initialState, evolve }: Fold<S>,
  signal: AbortSignal | undefined,
): Promise<{ state: S; revision: bigint | undefined }> {
  let state = initialState()
  const read = (): Promise<bigint | undefined> => store.readStream(stream, (event) => (state = evolve(state, event)), signal)
  try {
    const revision = await read()
    if (revision !== undefined) return { state, revision }
    // It exists and shows nothing. Read once more behind the look at its end: nothing up to there was missed.
    const { lastRevision } = await store.streamInfo(stream, signal ? { signal } : {})
    return { state, revision: (await read()) ?? lastRevision }
  } catch (error) {
    if (error instanceof StreamNotFoundError) return { state: initialState(), revision: undefined }
    throw error
  }
}

function toList<T extends object>(given: Some<T>): readonly T[] {
  if (given === undefined) return []
  return Array.isArray(given) ? (given as readonly T[]) : [given as T]
}
