/**
 * A client that says what streams keep, and deletes some. It has streams of its own, which boundary clients write too, and looks at
 * them. A change is asked for once: whether one that was not answered took effect, the log says.
 */
import { EventStoreError, type Expected, type StreamMetadata, type StreamMetadataState } from '@synod/events'
import type { HistoryOperation, PageAsked } from '../checkers/history.ts'
import type { RetentionOperation } from '../checkers/retention.ts'
import type { Dice } from '../world/dice.ts'
import { drawLabels } from './boundaries.ts'
import type { ClientOptions } from './client.ts'
import { codeOf, isTemporary, request, type Reply } from './request.ts'
import { seen, simEvent } from './sim-event.ts'

export interface RetentionHistory {
  readonly changes: RetentionOperation[]
  /** Appends and reads. */
  readonly operations: HistoryOperation[]
}

export interface RetentionClientOptions extends Omit<ClientOptions, 'history' | 'number'> {
  readonly history: RetentionHistory
}

/** Those that retention is asked of. Clients of boundaries append to them, too, and no others. */
export const retainedStreams: readonly string[] = ['gone-1', 'gone-2', 'gone-3', 'gone-4', 'gone-5']

const refusals = ['wrong_expected_revision', 'stream_not_found', 'stream_tombstoned']

export class RetentionClient {
  readonly #options: RetentionClientOptions
  readonly #revisions = new Map<string, number>()
  #count = 0
  #isOver = false
  readonly done: Promise<void>

  constructor(options: RetentionClientOptions) {
    this.#options = options
    this.done = this.#live()
  }

  end(): void {
    this.#isOver = true
  }

  async #live(): Promise<void> {
    const { world, dice, plan } = this.#options
    while (!this.#isOver) {
      await world.sleep(dice.exponential(plan.thinkMsMean))
      if (this.#isOver) return
      const stream = dice.pick(retainedStreams)
      const what = dice.unit()
      if (what < 0.2) await this.#setMetadata(stream)
      else if (what < 0.28) await this.#delete(stream, what < 0.21)
      else if (what < 0.33) await this.#metadata(stream)
      else if (what < 0.65) await this.#append(stream)
      else await this.#look(stream)
    }
  }

  async #setMetadata(stream: string): Promise<void> {
    const metadata = drawMetadata(this.#options.dice)
    const of = { op: 'setMetadata', stream } as const
    await this.#change(of, metadata, (store, signal) => store.retention.setMetadata(stream, metadata, { signal }))
  }

  async #delete(stream: string, isHard: boolean): Promise<void> {
    const { dice } = this.#options
    const known = this.#revisions.get(stream)
    const expected: Expected = known === undefined || dice.chance(0.6) ? 'any' : known
    const of = { op: isHard ? 'tombstone' : 'delete', stream } as const
    await this.#change(of, {}, (store, signal) => store.retention.delete(stream, { isHard, expected, signal }))
  }

  async #change(
    of: Pick<RetentionOperation, 'op' | 'stream'>,
    metadata: object,
    work: Parameters<typeof request<StreamMetadataState>>[1],
  ): Promise<void> {
    const { world, history, tally, trace, name } = this.#options
    const call = world.stamp()
    const reply = await this.#call(work)
    tally.add('changes of retention')
    const told = this.#told(reply, `${of.op} of ${of.stream}`)
    trace.add(world.now, name, 'retain', `${of.op} ${of.stream} ${JSON.stringify(metadata)} ${told?.version ?? ''}`)
    if (told === undefined) return
    tally.add('changes of retention answered')
    history.changes.push({ ...of, client: name, call, returned: world.stamp(), metadata, version: told.version, state: told.state })
  }

  async #metadata(stream: string): Promise<void> {
    const { world, dice, plan, history, name } = this.#options
    const consistency = dice.chance(plan.localShare) ? 'local' : 'linearizable'
    const call = world.stamp()
    const reply = await this.#call((store, signal) => store.retention.metadata(stream, { consistency, signal }))
    const told = this.#told(reply, `the metadata of ${stream}`)
    if (told === undefined) return
    const { metadata, version, state } = told
    history.changes.push({ op: 'metadata', stream, client: name, call, returned: world.stamp(), consistency, metadata, version, state })
  }

  /** One event; asked for once. What it was refused for is for the model. */
  async #append(stream: string): Promise<void> {
    const { world, dice, history, tally, trace, name } = this.#options
    const identity = `${name}.${++this.#count}`
    const expected: Expected = dice.chance(0.7) ? 'any' : dice.pick(['noStream', 'streamExists'] as const)
    const asked = { stream, expected, principal: name, events: [simEvent(identity, 0, dice.whole(0, 100), undefined, drawLabels(dice))] }
    const call = world.stamp()
    trace.add(world.now, name, 'append', `${identity} ${stream} ${expected}`)
    const reply = await this.#call((store, signal) => store.append(asked, { signal }))
    const told = this.#told(reply, `append ${identity}`)
    trace.add(world.now, name, told === undefined ? 'unknown' : 'appended', `${identity} ${told?.position ?? ''}`)
    const of = { kind: 'append', client: name, call, identity, stream, expected, count: 1 } as const
    if (told === undefined || reply.kind === 'none') {
      history.operations.push({ ...of, returned: Infinity, outcome: { kind: 'unknown' } })
      return
    }
    tally.add('appends to what is kept')
    this.#revisions.set(stream, told.revision)
    history.operations.push({ ...of, returned: world.stamp(), session: reply.session, outcome: { kind: 'appended', ...told } })
  }

  async #look(stream: string): Promise<void> {
    const { world, dice, plan, history, tally, trace, name } = this.#options
    const isForward = dice.chance(0.7)
    const page: PageAsked = {
      consistency: dice.chance(plan.localShare) ? 'local' : 'linearizable',
      direction: isForward ? 'forward' : 'backward',
      limit: dice.whole(1, 30),
      ...(dice.chance(0.3) ? { from: dice.whole(0, 20) } : {}),
    }
    const call = world.stamp()
    const reply = await this.#call((store, signal) => store.readStream(stream, { ...page, signal }))
    const isMissing = reply.kind === 'error' && reply.error instanceof EventStoreError && reply.error.code === 'stream_not_found'
    const found = isMissing ? [] : this.#told(reply, `a read of ${stream}`)
    if (found === undefined || reply.kind === 'none') return
    tally.add('looks at what is kept')
    const events = found.map(seen)
    const last = isForward ? events.at(-1) : events[0]
    if (last !== undefined) this.#revisions.set(stream, last.revision)
    trace.add(
      world.now,
      name,
      'look',
      `${stream} ${page.consistency} ${page.direction} ${events.map(({ revision }) => revision).join(' ')}`,
    )
    const { consistency } = page
    const told = { stream, consistency, page, events, client: name, call, returned: world.stamp(), session: reply.session }
    history.operations.push({ kind: 'readStream', revision: { atLeast: -1 }, ...told })
  }

  /** Undefined when nothing was heard, or it was refused. */
  #told<T>(reply: Reply<T>, what: string): T | undefined {
    if (reply.kind === 'answer') return reply.value
    if (reply.kind === 'none') return undefined
    if (!refusals.includes(codeOf(reply.error)) && !isTemporary(reply.error)) {
      const { name, onViolation } = this.#options
      onViolation({ kind: 'retention', message: `${name}: ${what} failed: ${String(reply.error)}` })
    }
    return undefined
  }

  #call<T>(work: Parameters<typeof request<T>>[1]): Promise<Reply<T>> {
    const { world, dice, plan, nodes } = this.#options
    const withinMs = dice.between(Math.min(100, plan.callMsMax), plan.callMsMax)
    return request({ world, dice, node: dice.pick(nodes()), withinMs, lossRate: this.#isOver ? 0 : plan.lossRate }, work)
  }
}

function drawMetadata(dice: Dice): StreamMetadata {
  return {
    ...(dice.chance(0.4) ? { maxCount: dice.whole(1, 6) } : {}),
    ...(dice.chance(0.4) ? { maxAgeSeconds: dice.whole(1, 4) } : {}),
    ...(dice.chance(0.3) ? { truncateBefore: dice.whole(0, 15) } : {}),
    ...(dice.chance(0.1) ? { custom: { drawn: dice.whole(0, 9) } } : {}),
  }
}
