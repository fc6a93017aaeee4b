/**
 * What every frame between nodes carries, and who may be heard. A frame names format, group, cluster, epoch, both ends, and
 * the sender's life of storage (incarnation), opening of it (boot) and process (nonce). A stranger's frame is dropped and
 * counted, so that a wrong address can neither merge two clusters nor let a wiped or copied store speak for a member.
 * Messages that do not fit into one frame of the transport are split and put together again here.
 *
 *   frame = version u8 · group u16 · cluster 16 · epoch u32 · from string · to string · incarnation 16 · boot u53 · nonce u53
 *           · mac bytes (empty, reserved) · channel u8 · [message u53 · part u32 · parts u32] · body
 * The bracket is there when the channel's highest bit is set.
 */
import { ByteReader, ByteWriter, bytesEqual, hexToBytes, MalformedError, type Bytes } from '@synod/codec'
import type { NodeId, Transport } from '@synod/transport'
import type { Configuration } from './configuration.ts'
import { LogError } from './ordered-log.ts'

export interface PeerNetworkOptions {
  readonly transport: Transport
  readonly self: NodeId
  readonly incarnation: string
  readonly boot: number
  readonly nonce: number
  readonly configuration: Configuration
  /** Bytes of incomplete messages per peer; beyond, the oldest incomplete message is dropped. */
  readonly assemblyBytesMax: number
  /** Two processes speak for this node: this one must stop. */
  readonly onDoppelganger: (error: Error) => void
}

type Listener = (from: NodeId, body: Bytes) => void

interface Peer {
  readonly incarnation: Bytes
  /** The header of every frame to it, up to the channel. */
  readonly header: Bytes
  boot: number
  nonce: number
  readonly assembly: Map<number, Assembly>
  assemblyBytes: number
}

interface Assembly {
  readonly channel: number
  readonly parts: (Bytes | undefined)[]
  missing: number
  bytes: number
}

interface Header {
  readonly from: NodeId
  readonly boot: number
  readonly nonce: number
}

const version = 1
const group = 0
const noMac: Bytes = new Uint8Array(0)
const splitBit = 0x80
const control = 0
const nodeIdBytesMax = 64
const partsMax = 4096

export class PeerNetwork {
  readonly #options: PeerNetworkOptions
  readonly #cluster: Bytes
  readonly #peers = new Map<NodeId, Peer>()
  readonly #listeners = new Map<number, Listener>()
  readonly #dropped = new Map<string, number>()
  #messages = 0

  constructor(options: PeerNetworkOptions) {
    this.#options = options
    this.#cluster = hexToBytes(options.configuration.cluster)
    const own = hexToBytes(options.incarnation)
    for (const { node, incarnation } of options.configuration.voters) {
      if (node === options.self) continue
      const header = new ByteWriter()
        .u8(version)
        .u16(group)
        .raw(this.#cluster)
        .u32(options.configuration.epoch)
        .string(options.self)
        .string(node)
      header.raw(own).u53(options.boot).u53(options.nonce).bytes(noMac)
      this.#peers.set(node, {
        incarnation: hexToBytes(incarnation),
        header: header.finish(),
        boot: 0,
        nonce: 0,
        assembly: new Map(),
        assemblyBytes: 0,
      })
    }
    options.transport.onFrame((_, frame) => this.#onFrame(frame))
  }

  /** One listener a channel, 1 to 127. */
  on(channel: number, listener: Listener): void {
    this.#listeners.set(channel, listener)
  }

  /** Never waits; the message may be lost. A node that is not a voter is a LogError. Pieces of a body are joined. */
  send(to: NodeId, channel: number, body: Bytes | readonly Bytes[]): void {
    const peer = this.#peers.get(to)
    if (peer === undefined) throw new LogError('invalid_configuration', `${to} is no peer of ${this.#options.self}`)
    const pieces = body instanceof Uint8Array ? [body] : body
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const room = this.#options.transport.frameBytesMax - peer.header.length - 17
    if (length <= room) this.#options.transport.send(to, concat(peer.header, new Uint8Array([channel]), ...pieces))
    else this.#sendSplit(to, peer, channel, concat(...pieces), room)
  }

  /** Frames dropped, by reason. */
  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#dropped)
  }

  #sendSplit(to: NodeId, { header }: Peer, channel: number, body: Bytes, room: number): void {
    const message = ++this.#messages
    const parts = Math.ceil(body.length / room)
    if (parts > partsMax)
      throw new LogError('invalid_configuration', `a message of ${body.length} bytes to ${to} is over ${partsMax} frames of the transport`)
    for (let part = 0; part < parts; part++) {
      const split = new ByteWriter(32)
        .u8(channel | splitBit)
        .u53(message)
        .u32(part)
        .u32(parts)
        .finish()
      this.#options.transport.send(to, concat(header, split, body.subarray(part * room, (part + 1) * room)))
    }
  }

  #onFrame(frame: Bytes): void {
    try {
      const reader = new ByteReader(frame)
      const header = this.#readHeader(reader)
      if (typeof header === 'string') return this.#drop(header)
      const peer = this.#peers.get(header.from)
      if (peer === undefined) return this.#drop('stranger')
      if (!this.#isCurrent(header, peer)) return
      this.#onChannel(header.from, peer, reader)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#drop('malformed')
    }
  }

  #readHeader(reader: ByteReader): Header | string {
    if (reader.u8() !== version) return 'version'
    if (reader.u16() !== group) return 'group'
    if (!bytesEqual(reader.raw(16), this.#cluster)) return 'cluster'
    if (reader.u32() !== this.#options.configuration.epoch) return 'epoch'
    const from = reader.string(nodeIdBytesMax)
    if (reader.string(nodeIdBytesMax) !== this.#options.self) return 'misaddressed'
    const incarnation = reader.raw(16)
    const boot = reader.u53()
    const nonce = reader.u53()
    reader.bytes(0)
    const peer = this.#peers.get(from)
    if (peer === undefined || !bytesEqual(incarnation, peer.incarnation)) return 'stranger'
    return { from, boot, nonce }
  }

  /** A frame of an earlier opening of the sender's store is void: whatever it promised or counted is superseded. */
  #isCurrent({ from, boot, nonce }: Header, peer: Peer): boolean {
    if (boot < peer.boot) {
      this.#drop('stale_boot')
      return false
    }
    if (boot > peer.boot) {
      peer.boot = boot
      peer.nonce = nonce
      peer.assembly.clear()
      peer.assemblyBytes = 0
    } else if (nonce !== peer.nonce) {
      this.#drop('doppelganger')
      this.send(from, control, new ByteWriter().u53(boot).u53(nonce).u53(peer.nonce).finish())
      return false
    }
    return true
  }

  #onChannel(from: NodeId, peer: Peer, reader: ByteReader): void {
    const channel = reader.u8()
    if ((channel & splitBit) === 0) return this.#deliver(from, channel, reader.raw(reader.remaining))
    const whole = this.#assemble(peer, channel & ~splitBit, reader)
    if (whole !== undefined) this.#deliver(from, channel & ~splitBit, whole)
  }

  #assemble(peer: Peer, channel: number, reader: ByteReader): Bytes | undefined {
    const message = reader.u53()
    const part = reader.u32()
    const parts = reader.u32()
    if (parts === 0 || parts > partsMax || part >= parts) throw new MalformedError(`part ${part} of ${parts}`)
    const body = reader.raw(reader.remaining)
    let assembly = peer.assembly.get(message)
    if (assembly === undefined) {
      // What it costs to wait for many parts counts too, not only what came of them.
      const bytes = parts * 8 + 64
      assembly = { channel, parts: Array.from({ length: parts }, () => undefined), missing: parts, bytes }
      peer.assembly.set(message, assembly)
      peer.assemblyBytes += bytes
    }
    if (assembly.channel !== channel || assembly.parts.length !== parts) throw new MalformedError('parts of one message that disagree')
    if (assembly.parts[part] !== undefined) return undefined
    assembly.parts[part] = body
    assembly.missing--
    assembly.bytes += body.length
    peer.assemblyBytes += body.length
    if (assembly.missing === 0) {
      this.#forget(peer, message, assembly)
      return concat(...assembly.parts.filter((bytes) => bytes !== undefined))
    }
    for (const [oldest, waiting] of peer.assembly) {
      if (peer.assemblyBytes <= this.#options.assemblyBytesMax) break
      this.#forget(peer, oldest, waiting)
      this.#drop('assembly_full')
    }
    return undefined
  }

  #forget(peer: Peer, message: number, assembly: Assembly): void {
    peer.assembly.delete(message)
    peer.assemblyBytes -= assembly.bytes
  }

  #deliver(from: NodeId, channel: number, body: Bytes): void {
    if (channel === control) return this.#onDoppelganger(from, body)
    const listener = this.#listeners.get(channel)
    if (listener === undefined) return this.#drop('channel')
    listener(from, body)
  }

  #onDoppelganger(from: NodeId, body: Bytes): void {
    const reader = new ByteReader(body)
    const boot = reader.u53()
    const nonces = [reader.u53(), reader.u53()]
    reader.end()
    const { self, nonce, incarnation } = this.#options
    if (boot !== this.#options.boot || !nonces.includes(nonce)) return
    this.#options.onDoppelganger(
      new LogError(
        'invalid_configuration',
        `${from} hears two processes that both say they are ${self} (incarnation ${incarnation}, boot ${boot}): a copied database or a second process. Stop one and give it a store of its own.`,
      ),
    )
  }

  #drop(reason: string): void {
    const name = `dropped_${reason}`
    this.#dropped.set(name, (this.#dropped.get(name) ?? 0) + 1)
  }
}

function concat(...parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
