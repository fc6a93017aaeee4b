/** What is asked of a stream rarely, each as one call. Answers are JSON with numbers; revisions are bigints here. */
import type { AskCall } from './call-request.ts'
import type { EventCodec, ToldEvent } from './event-codec.ts'
import { parseExactly } from './json.ts'
import { expectedMessage, requireNothingElse, toExpected, toFrom, toObject, toStream, toWord } from './arguments.ts'
import type {
  DeleteStreamOptions,
  MetadataOptions,
  StreamInfo,
  StreamInfoOptions,
  StreamMetadata,
  StreamMetadataState,
} from './stream-facts.ts'

interface ToldInfo {
  readonly stream: string
  readonly firstRevision: number
  readonly lastRevision: number
  readonly length: number
  readonly lastEvent?: ToldEvent | null
}

interface ToldMetadataState extends Omit<StreamMetadataState, 'metadata'> {
  readonly metadata: Omit<StreamMetadata, 'truncateBefore'> & { readonly truncateBefore?: number }
}

export class StreamCalls {
  readonly #codec: EventCodec
  readonly #ask: AskCall

  constructor(codec: EventCodec, ask: AskCall) {
    this.#codec = codec
    this.#ask = ask
  }

  async streamInfo(stream: string, options: StreamInfoOptions): Promise<StreamInfo> {
    toStream(stream)
    const consistency = toWord(options.consistency, 'consistency', ['linearizable', 'local'])
    const atLeast = toFrom(options.atLeast, 'atLeast')
    const argument = { stream, consistency, ...(atLeast !== undefined && { atLeast }) }
    const call = { method: 'streamInfo', argument, asked: { stream }, isRepeatable: true, isLocal: consistency === 'local' }
    const { lastEvent, ...told } = parseExactly(await this.#ask(call, options.signal)) as ToldInfo
    return {
      stream,
      firstRevision: BigInt(told.firstRevision),
      lastRevision: BigInt(told.lastRevision),
      length: told.length,
      lastEvent: lastEvent === undefined || lastEvent === null ? undefined : await this.#codec.decodeJson(lastEvent),
    }
  }

  async streamMetadata(stream: string, options: MetadataOptions): Promise<StreamMetadataState> {
    toStream(stream)
    const consistency = toWord(options.consistency, 'consistency', ['linearizable', 'local'])
    const call = {
      method: 'streamMetadata',
      argument: { stream, consistency },
      asked: { stream },
      isRepeatable: true,
      isLocal: consistency === 'local',
    }
    return toMetadataState(await this.#ask(call, options.signal))
  }

  async setStreamMetadata(
    stream: string,
    metadata: StreamMetadata,
    { signal }: { readonly signal?: AbortSignal },
  ): Promise<StreamMetadataState> {
    toStream(stream)
    const { maxCount, maxAgeSeconds, truncateBefore, custom, ...rest } = toObject(metadata, 'metadata', '{ maxCount: 100 }')
    requireNothingElse(rest, 'metadata', 'maxCount, maxAgeSeconds, truncateBefore and custom')
    const before = toFrom(truncateBefore, 'truncateBefore')
    const given = {
      ...(maxCount !== undefined && { maxCount }),
      ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
      ...(before !== undefined && { truncateBefore: before }),
      ...(custom !== undefined && { custom }),
    }
    const argument = { stream, metadata: given }
    return toMetadataState(await this.#ask({ method: 'setStreamMetadata', argument, asked: { stream }, isRepeatable: false }, signal))
  }

  async deleteStream(stream: string, options: DeleteStreamOptions): Promise<StreamMetadataState> {
    toStream(stream)
    const expected = toExpected(options.expected)
    const argument = { stream, ...(options.isHard === true && { hard: true }), expected: expectedMessage(expected) }
    const call = { method: 'deleteStream', argument, asked: { stream, expected }, isRepeatable: false }
    return toMetadataState(await this.#ask(call, options.signal))
  }
}

function toMetadataState(told: string): StreamMetadataState {
  const { stream, version, state, metadata } = JSON.parse(told) as ToldMetadataState
  const { truncateBefore, ...rest } = metadata
  return { stream, version, state, metadata: { ...rest, ...(truncateBefore !== undefined && { truncateBefore: BigInt(truncateBefore) }) } }
}
