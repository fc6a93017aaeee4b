import type { Expected, StreamMetadata } from '@synod/events'

export interface ModelStream {
  revision: number
  metadata: StreamMetadata
  version: number
  state: 'absent' | 'open' | 'deleted' | 'tombstoned'
}

interface ModelEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
  isHidden: boolean
}

export type ModelChange = { readonly version: number; readonly state: ModelStream['state'] } | { readonly code: string }

/** What retention says, in the plainest words: every event is looked at after every command, and once hidden stays hidden. */
export class RetentionModel {
  readonly events: ModelEvent[] = []
  readonly streams = new Map<string, ModelStream>()
  readonly #clocks = new Map<string, number>()
  /** Those that count: of a later second than the one before, with new events. */
  readonly #ticks: { readonly time: number; readonly head: number }[] = []
  readonly #voters: readonly string[]
  time = 0

  constructor(voters: readonly string[]) {
    this.#voters = voters
  }

  stream(name: string): ModelStream {
    const known = this.streams.get(name)
    if (known !== undefined) return known
    const stream: ModelStream = { revision: -1, metadata: {}, version: 0, state: 'absent' }
    this.streams.set(name, stream)
    return stream
  }

  lastRevision(name: string): number {
    const { state, revision } = this.stream(name)
    return state === 'open' ? revision : -1
  }

  visible(name: string): readonly number[] {
    return this.events.filter(({ stream, isHidden }) => stream === name && !isHidden).map(({ position }) => position)
  }

  append(name: string, count: number): { readonly revision: number } | { readonly code: string } {
    const stream = this.stream(name)
    if (stream.state === 'tombstoned') return { code: 'stream_tombstoned' }
    for (let event = 0; event < count; event++)
      this.events.push({ stream: name, revision: ++stream.revision, position: this.events.length + 1, isHidden: false })
    stream.state = 'open'
    this.#hide()
    return { revision: stream.revision }
  }

  setMetadata(name: string, metadata: StreamMetadata): ModelChange {
    const stream = this.stream(name)
    if (stream.state === 'tombstoned') return { code: 'stream_tombstoned' }
    stream.metadata = metadata
    stream.version++
    this.#hide()
    return { version: stream.version, state: stream.state }
  }

  delete(name: string, isHard: boolean, expected: Expected): ModelChange {
    const stream = this.stream(name)
    const wanted = isHard ? 'tombstoned' : 'deleted'
    if (stream.state === 'tombstoned' && !isHard) return { code: 'stream_tombstoned' }
    if (stream.state === 'absent') return { code: 'stream_not_found' }
    const isAgain = stream.state === wanted && Object.keys(stream.metadata).length === 0
    if (isAgain) return { version: stream.version, state: wanted }
    const last = this.lastRevision(name)
    const isAsExpected =
      expected === 'any' || (expected === 'noStream' ? last < 0 : expected === 'streamExists' ? last >= 0 : last === expected)
    if (!isAsExpected) return { code: 'wrong_expected_revision' }
    for (const event of this.events) if (event.stream === name) event.isHidden = true
    stream.metadata = {}
    stream.version++
    stream.state = wanted
    return { version: stream.version, state: wanted }
  }

  tick(node: string, clock: number): void {
    this.#clocks.set(node, clock)
    const clocks = this.#voters.map((voter) => this.#clocks.get(voter) ?? 0).toSorted((a, b) => a - b)
    this.time = Math.max(this.time, clocks[Math.floor((clocks.length - 1) / 2)] ?? 0)
    const last = this.#ticks.at(-1) ?? { time: 0, head: 0 }
    const isLater = Math.floor(this.time / 1000) > Math.floor(last.time / 1000)
    if (isLater && this.events.length > last.head) this.#ticks.push({ time: this.time, head: this.events.length })
    this.#hide()
  }

  #hide(): void {
    for (const event of this.events) {
      const { metadata, revision } = this.stream(event.stream)
      const { maxCount = Infinity, maxAgeSeconds = Infinity, truncateBefore = 0 } = metadata
      const seen = this.#ticks.find(({ head }) => head >= event.position)
      const isOld = seen !== undefined && seen.time + maxAgeSeconds * 1000 <= this.time
      if (event.revision <= revision - maxCount || event.revision < truncateBefore || isOld) event.isHidden = true
    }
  }
}
