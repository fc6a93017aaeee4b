/**
 * Decided entries from peers, for a node that missed them. One chunk is asked for at a time, and the next one while the
 * store still writes the last, so that a node far behind fills up at the speed of its disk in bounded memory. A peer
 * answers with what is decided and durable in its own store, never with what it merely accepted.
 *
 *   request = from u53 · to u53
 *   reply   = from u53 · count u32 · (header bytes · entry bytes)…
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import type { DecidedEntry, Index, PeerNetwork } from '@synod/log'
import type { NodeId, Scheduler } from '@synod/transport'
import type { Delivery } from './delivery.ts'
import type { Token } from './protocol.ts'

export interface CatchUpOptions {
  readonly peers: readonly NodeId[]
  readonly network: PeerNetwork
  readonly scheduler: Scheduler
  readonly delivery: Delivery
  readonly learn: (entry: DecidedEntry) => void
  /** The ticket of the last persist that the core emitted. */
  readonly lastToken: () => Token
}

interface Fetch {
  from: Index
  to: Index
  peer: NodeId
  /** Peers asked without any progress since. */
  fruitless: number
  askedAt: number
  waiting: boolean
}

const requestChannel = 2
const replyChannel = 3
/** Until another peer is asked, at first and later. Late answers count too, so a longer wait gains little, and dead peers would cost it each. */
const replyMs = 1000
const laterReplyMs = 2000
const chunkBytesMax = 2 * 1024 * 1024
/** Answers under way at once; a request beyond is dropped, and asked again by its sender. */
const servingMax = 4

export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #counters = { fetchesSent: 0, fetchesServed: 0, fetchesFailed: 0, entriesFetched: 0 }
  #fetch: Fetch | undefined
  /** Tickets of the last two chunks: the next is asked for when the one before the last is durable. */
  #chunkTokens: [Token, Token] = [0, 0]
  #durable: Token = 0
  #serving = 0
  #closed = false

  constructor(options: CatchUpOptions) {
    this.#options = options
    options.network.on(requestChannel, (from, body) => this.#onRequest(from, body))
    options.network.on(replyChannel, (from, body) => this.#onReply(from, body))
  }

  /** Replaces what is being fetched; what is under way for the same beginning goes on. */
  fetch(from: Index, to: Index, peer: NodeId | undefined): void {
    const [first] = this.#options.peers
    const asked = peer !== undefined && this.#options.peers.includes(peer) ? peer : first
    if (asked === undefined || to < from) return
    const current = this.#fetch
    if (current !== undefined && current.from >= from && current.from <= to) {
      current.to = Math.max(current.to, to)
      return
    }
    this.#fetch = { from, to, peer: asked, fruitless: 0, askedAt: 0, waiting: false }
    this.#ask()
  }

  onTick(): void {
    const fetch = this.#fetch
    if (fetch?.waiting === true && this.#options.scheduler.now() - fetch.askedAt > (fetch.fruitless === 0 ? replyMs : laterReplyMs))
      this.#askAnother()
  }

  onDurable(token: Token): void {
    this.#durable = token
    if (this.#fetch?.waiting === false) this.#ask()
  }

  counters(): Readonly<Record<string, number>> {
    return this.#counters
  }

  close(): void {
    this.#closed = true
    this.#fetch = undefined
  }

  #ask(): void {
    const fetch = this.#fetch
    if (fetch === undefined || this.#closed || this.#chunkTokens[0] > this.#durable) return
    fetch.askedAt = this.#options.scheduler.now()
    fetch.waiting = true
    this.#counters.fetchesSent++
    this.#options.network.send(fetch.peer, requestChannel, new ByteWriter(16).u53(fetch.from).u53(fetch.to).finish())
  }

  #askAnother(): void {
    const fetch = this.#fetch
    if (fetch === undefined) return
    const { peers } = this.#options
    fetch.fruitless++
    fetch.waiting = false
    const next = peers[(peers.indexOf(fetch.peer) + 1) % peers.length]
    if (next === undefined || fetch.fruitless >= peers.length) {
      // Nobody has it at present. The core asks again as long as it misses something.
      this.#fetch = undefined
      return
    }
    fetch.peer = next
    this.#ask()
  }

  #onReply(from: NodeId, body: Bytes): void {
    const fetch = this.#fetch
    if (fetch === undefined) return
    // An answer that comes late, when another peer was asked already, is as good as one that comes in time.
    const entries = readReply(body, fetch.from)
    if (entries === undefined) return
    if (entries.length === 0) {
      if (from === fetch.peer && fetch.waiting) this.#askAnother()
      return
    }
    fetch.fruitless = 0
    fetch.waiting = false
    fetch.from += entries.length
    this.#counters.entriesFetched += entries.length
    if (fetch.from > fetch.to) this.#fetch = undefined
    for (const entry of entries) this.#options.learn(entry)
    this.#chunkTokens = [this.#chunkTokens[1], this.#options.lastToken()]
    if (this.#fetch === fetch) this.#ask()
  }

  #onRequest(from: NodeId, body: Bytes): void {
    const range = readRequest(body)
    if (range === undefined || this.#serving >= servingMax || this.#closed) return
    this.#serving++
    this.#serve(from, range.from, range.to)
      // A store that cannot be read, or has a hole, answers nothing; the peer asks another.
      .catch(() => void this.#counters.fetchesFailed++)
      .finally(() => this.#serving--)
  }

  async #serve(peer: NodeId, from: Index, to: Index): Promise<void> {
    const entries: DecidedEntry[] = []
    let bytes = 0
    collecting: for await (const batch of this.#options.delivery.batches(from, to)) {
      for (const entry of batch) {
        entries.push(entry)
        bytes += entry.header.length + entry.entry.length
        if (bytes >= chunkBytesMax) break collecting
      }
    }
    if (this.#closed) return
    const reply = new ByteWriter(bytes + entries.length * 8 + 64).u53(from).u32(entries.length)
    for (const { header, entry } of entries) reply.bytes(header).bytes(entry)
    this.#counters.fetchesServed++
    this.#options.network.send(peer, replyChannel, reply.finish())
  }
}

function readRequest(body: Bytes): { from: Index; to: Index } | undefined {
  return read(() => {
    const reader = new ByteReader(body)
    const range = { from: reader.u53(), to: reader.u53() }
    reader.end()
    return range.from > 0 && range.to >= range.from ? range : undefined
  })
}

/** Undefined when malformed, or an answer to another question. */
function readReply(body: Bytes, expected: Index): DecidedEntry[] | undefined {
  return read(() => {
    const reader = new ByteReader(body)
    if (reader.u53() !== expected) return undefined
    const entries: DecidedEntry[] = []
    for (let left = reader.count(8); left > 0; left--)
      entries.push({ index: expected + entries.length, header: reader.bytes(), entry: reader.bytes() })
    reader.end()
    return entries
  })
}

function read<T>(decode: () => T | undefined): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}
