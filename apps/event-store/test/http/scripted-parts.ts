/** What a scripted store keeps streams and groups by: answers that a test decides, and what was asked. */
import type {
  ConsumeOptions,
  ConsumerGroups,
  GroupConsumer,
  GroupDefinition,
  GroupMessage,
  GroupStatus,
  ParkedEvent,
  Rejection,
  StreamMetadata,
  StreamMetadataState,
  StreamRetention,
} from '@synod/events'

export class ScriptedRetention implements StreamRetention {
  /** Each call: the method, its arguments without the signal. */
  readonly asked: unknown[] = []
  onAny: (this: void, stream: string) => Promise<StreamMetadataState> = async (stream) => ({
    stream,
    metadata: { maxCount: 3, custom: { owner: 'me' } },
    version: 2,
    state: 'open',
  })

  setMetadata(stream: string, metadata: StreamMetadata): Promise<StreamMetadataState> {
    this.asked.push(['setMetadata', stream, metadata])
    return this.onAny(stream)
  }

  metadata(stream: string, { consistency }: Parameters<StreamRetention['metadata']>[1]): Promise<StreamMetadataState> {
    this.asked.push(['metadata', stream, consistency])
    return this.onAny(stream)
  }

  delete(stream: string, { isHard, expected }: Parameters<StreamRetention['delete']>[1]): Promise<StreamMetadataState> {
    this.asked.push(['delete', stream, { isHard, expected }])
    return this.onAny(stream)
  }
}

export const groupStatus: GroupStatus = {
  group: 'g',
  definition: {
    filter: { categories: ['order'] },
    from: 1,
    partitionBy: 'stream',
    partitions: 2,
    ackDeadlineMs: 30_000,
    attemptsMax: 10,
    parkedMax: 1000,
  },
  generation: 3,
  consumers: [{ consumer: 'c1', node: 'n1', partitions: 2 }],
  settled: 40,
  lag: 2,
  parked: 1,
  why: 'an event of partition 1 is not acknowledged',
  partitions: [
    { partition: 0, settled: 42, inFlight: 0, parked: 0, consumer: 'c1' },
    { partition: 1, settled: 40, inFlight: 1, parked: 1, consumer: 'c1', oldest: { position: 41, attempts: 1 }, why: 'waits' },
  ],
}

export class ScriptedGroups implements ConsumerGroups {
  readonly asked: unknown[] = []
  readonly consumers: ConsumeOptions[] = []
  /** What consumers said. */
  readonly said: unknown[] = []
  onAny: (this: void) => Promise<GroupStatus> = async () => groupStatus
  onParked: (this: void) => Promise<readonly ParkedEvent[]> = async () => []
  onConsume: (this: void, group: string, options: ConsumeOptions) => AsyncIterable<GroupMessage> = async function* () {
    yield { kind: 'assigned', generation: 1, partitions: [0, 1] }
  }

  put(group: string, definition: GroupDefinition): Promise<GroupStatus> {
    return this.#ask('put', group, definition)
  }

  async delete(group: string): Promise<void> {
    await this.#ask('delete', group)
  }

  get(group: string): Promise<GroupStatus> {
    return this.#ask('get', group)
  }

  async list(): Promise<readonly GroupStatus[]> {
    return [await this.#ask('list')]
  }

  async parked(group: string, options: { readonly after?: number; readonly limit: number }): Promise<readonly ParkedEvent[]> {
    await this.#ask('parked', group, options)
    return this.onParked()
  }

  async replay(group: string, options: { readonly positions?: readonly number[] }): Promise<{ readonly replayed: number }> {
    await this.#ask('replay', group, options)
    return { replayed: 1 }
  }

  consume(group: string, options: ConsumeOptions): GroupConsumer {
    this.consumers.push(options)
    return {
      messages: () => this.onConsume(group, options),
      acknowledge: (generation: number, positions: readonly number[]) => void this.said.push(['acknowledge', generation, positions]),
      reject: (generation: number, position: number, rejection: Rejection, reason?: string) =>
        void this.said.push(['reject', generation, position, rejection, reason]),
    }
  }

  #ask(...asked: unknown[]): Promise<GroupStatus> {
    this.asked.push(asked)
    return this.onAny()
  }
}
