/**
 * The network between nodes: a Transport per life. Frames are lost, doubled, late, very late (a replay, as from an old
 * connection), and in order only when the seed says so; links are cut one way or both, or clogged: what is sent then
 * arrives when the clog is over. A frame reaches whatever life of the receiver is there when it arrives.
 */
import type { Bytes } from '@synod/codec'
import { TransportError, type NodeId, type Transport } from '@synod/transport'
import type { Dice } from './dice.ts'
import type { Life } from './life.ts'
import type { Tally } from './tally.ts'
import type { Trace } from './trace.ts'
import type { World } from './world.ts'

export interface NetworkRates {
  readonly delayMsMin: number
  /** Of what comes on top, exponentially. */
  readonly delayMsMean: number
  readonly lossRate: number
  readonly duplicateRate: number
  /** Copies that wait up to `stragglerMsMax` longer. */
  readonly stragglerRate: number
  readonly stragglerMsMax: number
  readonly isInOrder: boolean
  readonly frameBytesMax: number
}

interface Link {
  readonly from: NodeId
  readonly to: NodeId
  isCut: boolean
  isFaulty: boolean
  /** Comes on top of every delay. */
  lagMs: number
  /** What waits while the link is clogged. */
  clogged: Bytes[] | undefined
  lastArrival: number
}

/** What waits on a clogged link; more is dropped, as a full queue does. */
const cloggedFramesMax = 5000
/** The mean of a calm link, at most. */
const calmDelayMs = 5
const calm = { lossRate: 0, duplicateRate: 0, stragglerRate: 0 }

export class Network {
  readonly #world: World
  readonly #dice: Dice
  readonly #trace: Trace
  readonly #tally: Tally
  readonly #rates: NetworkRates
  readonly #links = new Map<NodeId, Map<NodeId, Link>>()
  readonly #places = new Map<NodeId, { readonly life: Life; listener: ((from: NodeId, frame: Bytes) => void) | undefined }>()

  constructor(world: World, dice: Dice, members: readonly NodeId[], rates: NetworkRates, trace: Trace, tally: Tally) {
    this.#world = world
    this.#dice = dice
    this.#trace = trace
    this.#tally = tally
    this.#rates = rates
    for (const from of members) {
      const links = members
        .filter((to) => to !== from)
        .map((to) => [to, { from, to, isCut: false, isFaulty: true, lagMs: 0, clogged: undefined, lastArrival: 0 }] as const)
      this.#links.set(from, new Map(links))
    }
  }

  open(self: NodeId, life: Life): Transport {
    const place = { life, listener: undefined as ((from: NodeId, frame: Bytes) => void) | undefined }
    this.#places.set(self, place)
    return {
      frameBytesMax: this.#rates.frameBytesMax,
      send: (to, frame) => this.#send(self, to, frame, life),
      onFrame: (listener) => {
        place.listener = listener
      },
      counters: () => ({}),
      close: () => {
        if (this.#places.get(self) === place) this.#places.delete(self)
        return Promise.resolve()
      },
    }
  }

  cut(from: NodeId, to: NodeId): void {
    const link = this.#link(from, to)
    if (!link.isCut) this.#tally.add('cuts')
    link.isCut = true
  }

  clog(from: NodeId, to: NodeId): void {
    const link = this.#link(from, to)
    if (link.clogged !== undefined) return
    this.#tally.add('clogs')
    link.clogged = []
  }

  /** From now on everything on this link takes so much longer. */
  lag(from: NodeId, to: NodeId, ms: number): void {
    this.#tally.add('lags')
    this.#link(from, to).lagMs = ms
  }

  mend(from: NodeId, to: NodeId): void {
    const link = this.#link(from, to)
    link.isCut = false
    link.lagMs = 0
    const clogged = link.clogged ?? []
    link.clogged = undefined
    for (const frame of clogged) this.#carry(link, frame)
  }

  /** No losses on this link from now on. */
  calm(from: NodeId, to: NodeId): void {
    this.#link(from, to).isFaulty = false
    this.mend(from, to)
  }

  #link(from: NodeId, to: NodeId): Link {
    const link = this.#links.get(from)?.get(to)
    if (link === undefined) throw TransportError.unknownPeer(from, to)
    return link
  }

  #send(from: NodeId, to: NodeId, frame: Bytes, life: Life): void {
    if (!life.calls()) return
    const link = this.#link(from, to)
    if (frame.length > this.#rates.frameBytesMax) throw TransportError.frameTooLarge(to, frame.length, this.#rates.frameBytesMax)
    this.#tally.add('frames')
    const { lossRate, duplicateRate } = link.isFaulty ? this.#rates : calm
    if (link.isCut) return this.#tally.add('framesCut')
    if (this.#dice.chance(lossRate)) return this.#tally.add('framesLost')
    this.#carry(link, frame)
    if (!this.#dice.chance(duplicateRate)) return
    this.#tally.add('framesDoubled')
    this.#carry(link, frame)
  }

  #carry(link: Link, frame: Bytes): void {
    const { delayMsMin, delayMsMean, stragglerMsMax, isInOrder } = this.#rates
    const { isFaulty } = link
    let delay = isFaulty ? delayMsMin + this.#dice.exponential(delayMsMean) : this.#dice.exponential(Math.min(delayMsMean, calmDelayMs))
    const { stragglerRate } = isFaulty ? this.#rates : calm
    const isStraggler = this.#dice.chance(stragglerRate)
    if (isStraggler) {
      this.#tally.add('framesVeryLate')
      delay += this.#dice.unit() * stragglerMsMax
    }
    let arrival = this.#world.now + delay + link.lagMs
    if (isInOrder && !isStraggler) link.lastArrival = arrival = Math.max(arrival, link.lastArrival)
    this.#world.at(arrival, () => this.#arrive(link, frame))
  }

  #arrive(link: Link, frame: Bytes): void {
    if (link.isCut) return this.#tally.add('framesCut')
    if (link.clogged !== undefined) {
      if (link.clogged.length < cloggedFramesMax) link.clogged.push(frame)
      return
    }
    const place = this.#places.get(link.to)
    if (place === undefined || !place.life.isAlive) return
    this.#trace.number(this.#world.now)
    this.#trace.number(frame.length)
    const deliver = (): void => place.listener?.(link.from, frame)
    this.#world.defer(deliver, place.life)
  }
}
