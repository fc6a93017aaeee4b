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
  /** Asked without any progress since, this one included. */
  asked: NodeId[]
  askedAt: number
  waiting: boolean
  /** All were asked in vain; an answer that comes late still counts. */
  isOver: boolean
}

const requestChannel = 2
const replyChannel = 3
/** Until another peer is asked. Late answers count too, so a longer wait gains little, and dead peers would cost it each. */
const replyMs = 1000
/** The same for a peer that has said nothing for so long: it may be dead. */
const silentReplyMs = 300
const silentMs = 2000
const chunkBytesMax = 2 * 1024 * 1024
/** Answers under way at once; a request beyond is dropped, and asked again by its sender. */
const servingMax = 4

export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #counters = { fetchesSent: 0, fetchesServed: 0, fetchesFailed: 0, entriesFetched: 0 }
  /** When each peer was last heard: silent ones may be dead, and are asked last. */
  readonly #heardAt = new Map<NodeId, number>()
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
    const asked = peer !== undefined && this.#options.peers.includes(peer) ? peer : this.#lastHeard([])
    if (asked === undefined || to < from) return
    const current = this.#fetch
    if (current !== undefined && !current.isOver && current.from >= from && current.from <= to) {
      current.to = Math.max(current.to, to)
      return
    }
    this.#fetch = { from, to, peer: asked, asked: [asked], askedAt: 0, waiting: false, isOver: false }
    this.#ask()
  }

  /** Something came from this peer, whatever it was. */
  onHeard(peer: NodeId): void {
    this.#heardAt.set(peer, this.#options.scheduler.now())
  }

  onTick(): void {
    const fetch = this.#fetch
    if (fetch === undefined || !fetch.waiting) return
    const now = this.#options.scheduler.now()
    const isSilent = now - (this.#heardAt.get(fetch.peer) ?? Number.NEGATIVE_INFINITY) > silentMs
    if (now - fetch.askedAt > (isSilent ? silentReplyMs : replyMs)) this.#askAnother()
  }

  onDurable(token: Token): void {
    this.#durable = token
    if (this.#fetch?.waiting === false && !this.#fetch.isOver) this.#ask()
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
    fetch.waiting = false
    const next = this.#lastHeard(fetch.asked)
    if (next === undefined) {
      // Nobody has it at present. The core asks again as long as it misses something.
      fetch.isOver = true
      return
    }
    fetch.peer = next
    fetch.asked.push(next)
    this.#ask()
  }

  /** Of those that are left. */
  #lastHeard(except: readonly NodeId[]): NodeId | undefined {
    const left = this.#options.peers.filter((peer) => !except.includes(peer))
    const heardAt = (peer: NodeId): number => this.#heardAt.get(peer) ?? Number.NEGATIVE_INFINITY
    return left.toSorted((one, other) => heardAt(other) - heardAt(one) || 0)[0]
  }

  #onReply(from: NodeId, body: Bytes): void {
    this.onHeard(from)
    const fetch = this.#fetch
    if (fetch === undefined) return
    // An answer that comes late, when another peer was asked already, is as good as one that comes in time.
    const entries = readReply(body, fetch.from)
    if (entries === undefined) return
    if (entries.length === 0) {
      if (from === fetch.peer && fetch.waiting) this.#askAnother()
      return
    }
    fetch.peer = from
    fetch.asked = [from]
    fetch.waiting = false
    fetch.isOver = false
    fetch.from += entries.length
    this.#counters.entriesFetched += entries.length
    if (fetch.from > fetch.to) this.#fetch = undefined
    for (const entry of entries) this.#options.learn(entry)
    this.#chunkTokens = [this.#chunkTokens[1], this.#options.lastToken()]
    if (this.#fetch === fetch) this.#ask()
  }

  #onRequest(from: NodeId, body: Bytes): void {
    this.onHeard(from)
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
