/**
 * One node: its disk, which outlives everything, and its lives one after the other, each of which composes what a real
 * process composes, on the simulated ports. What ends a real process (a failed store, a broken invariant) ends a life.
 */
import { hostProtocol, type ProtocolDefinition } from '@synod/consensus'
import { protocol, type PaxosMessage } from '@synod/consensus-paxos'
import { createEventMachine, openEventStore, type EventMachine, type EventStore, type Verdict } from '@synod/events'
import { openVirtualLog, type Genesis, type OrderedLog, type StateMachine } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { verdictText } from '../checkers/log-model.ts'
import type { Dice } from './dice.ts'
import { Disk } from './disk.ts'
import { Life, type Clock } from './life.ts'
import { ReadDisk } from './read-disk.ts'
import { beginning, drawWall, startRetaining, stopRetaining, type Retaining } from './retaining.ts'
import type { Surroundings } from './surroundings.ts'

export interface Serving extends Retaining {
  readonly life: Life
  readonly log: OrderedLog<Verdict>
  /** Absent: the store was wiped. */
  readonly events?: EventStore
}

/** A clean stop has to end within this. */
const stopMsMax = 30_000
/** From a failed sync to the end of the node. */
const failMsMax = 5_000

export class SimNode {
  readonly id: NodeId
  readonly disk: Disk
  readonly readDisk: ReadDisk
  readonly #around: Surroundings
  readonly #dice: Dice
  readonly #clock: Clock
  readonly #wall: () => number
  readonly #members: readonly NodeId[]
  #lives = 0
  #life: Life | undefined
  #serving: Serving | undefined
  #isWiped = false
  #isStopping = false
  /** Whatever ends it, it is started again at once. */
  isKeptUp = false

  constructor(id: NodeId, members: readonly NodeId[], around: Surroundings, dice: Dice) {
    const { world, plan, tally } = around
    this.id = id
    this.#around = around
    this.#dice = dice
    this.#members = members
    this.#clock = { offsetMs: dice.between(0, 1e6), rate: 1 + dice.between(-plan.driftMax, plan.driftMax) }
    const hasRetention = plan.workload.retentionClients > 0
    this.disk = new Disk(world, dice.named('disk'), plan.disk, tally, hasRetention ? plan.retention.pieceBytes : undefined)
    this.disk.onReclaim = (slots) => around.archive.add(id, slots)
    this.readDisk = new ReadDisk(dice.named('read side'), plan.readDisk, tally, hasRetention)
    // Of a node alone it is the only one, and all would be as it says.
    const isWild = members.indexOf(id) === 0 && members.length > 1
    this.#wall = drawWall(around, this.#clock.rate, isWild, dice.named('wall clock'))
  }

  get life(): Life | undefined {
    return this.#life
  }

  get serving(): Serving | undefined {
    return this.#serving
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  get isWiped(): boolean {
    return this.#isWiped
  }

  found(genesis: Genesis): void {
    this.disk.found(genesis)
  }

  start(): void {
    if (this.#life !== undefined) return
    const { world } = this.#around
    const life = new Life(world, `${this.id}/${++this.#lives}`, this.#clock)
    this.#life = life
    this.#isStopping = false
    this.#tell('start', life.name)
    world.defer(() => {
      this.#open(life).catch((error: unknown) => this.#onFailure(life, error))
    }, life)
  }

  /** As kill -9 and a power cut in one. */
  crash(why: string): void {
    const life = this.#life
    if (life === undefined) return
    this.#tell('crash', why)
    this.#end(life)
  }

  wipe(): void {
    this.crash('wiped')
    this.#isWiped = true
    this.disk.wipe()
    this.readDisk.wipe()
  }

  pause(): void {
    if (this.#life === undefined || this.#life.isPaused) return
    this.#tell('pause', '')
    this.#life.pause()
  }

  resume(): void {
    if (this.#life?.isPaused !== true) return
    this.#tell('resume', '')
    this.#life.resume()
  }

  /** As on a TERM: everything is closed, then the process ends. */
  stop(): void {
    const serving = this.#serving
    if (serving === undefined || this.#isStopping) return
    this.#isStopping = true
    this.#tell('stop', '')
    const { life, log, events } = serving
    const close = async (): Promise<void> => {
      if (this.#dice.chance(0.5)) await log.stepDown()
      await stopRetaining(serving)
      await events?.close()
      await log.close()
    }
    this.#around.world.defer(() => {
      close().then(
        () => this.#end(life),
        (error: unknown) => this.#onFailure(life, error),
      )
    }, life)
    this.#demandEnd(life, stopMsMax, `did not close within ${stopMsMax} ms`)
  }

  /** A sync or a flush fails, and the node has to stop. */
  fail(what: 'sync' | 'flush'): void {
    const life = this.#life
    if (life === undefined || this.#serving?.events === undefined) return
    this.#tell('fail', what)
    if (what === 'flush') {
      this.readDisk.failsNext = true
      return
    }
    this.disk.failsNext = this.#dice.pick(['disk_full', 'unavailable'])
    this.disk.onFailed = () => this.#demandEnd(life, failMsMax, `went on for ${failMsMax} ms after a sync had failed`)
  }

  /** The life's own process would have ended: an exception that nobody caught. */
  onCrash(life: Life, error: unknown): void {
    this.#onFailure(life, error)
  }

  #demandEnd(life: Life, forMs: number, otherwise: string): void {
    this.#around.world.after(forMs, () => {
      if (!life.isAlive) return
      if (life.isPaused) this.#demandEnd(life, forMs, otherwise)
      else this.#around.onViolation({ kind: 'node', message: `${life.name} ${otherwise}` })
    })
  }

  async #open(life: Life): Promise<void> {
    const { plan, network, world } = this.#around
    const { readDisk } = this
    const onFailure = (error: Error): void => this.#onFailure(life, error)
    const machine = createEventMachine({ readSide: readDisk.open(life), limits: plan.machineLimits, scheduler: life, onFailure })
    const log: { opened?: OrderedLog<Verdict> } = {}
    log.opened = await openVirtualLog({
      self: this.id,
      store: this.disk.open(life),
      transport: network.open(this.id, life),
      machine: this.#observed(machine, life, () => log.opened),
      scheduler: life,
      nonce: this.#dice.whole(0, 2 ** 48 - 1),
      limits: plan.logLimits,
      loadLoglet: (_, options) => Promise.resolve(hostProtocol(this.#definition(options))),
      onFailure,
    })
    if (!life.isAlive) return
    const { opened } = log
    if (opened.status().state === 'wiped') {
      if (!this.#isWiped) throw new Error('the store says that it was wiped, and it was not')
      this.#serving = { life, log: opened }
      return
    }
    let drawn = 0
    const events = openEventStore({
      log: opened,
      machine,
      limits: plan.eventLimits,
      now: () => beginning + world.now,
      drawId: () => drawnId(this.#members.indexOf(this.id), this.#lives, ++drawn),
    })
    let role = ''
    opened.onStatus(() => {
      const { role: now, leader, state } = opened.status()
      const text = `${now}${leader === undefined ? '' : ` of ${leader}`} ${state}`
      if (text !== role && life.isAlive) this.#tell('role', text)
      role = text
    })
    const options = { self: this.id, members: this.#members, life, log: opened, machine, wall: this.#wall }
    this.#serving = { life, log: opened, events, ...startRetaining(this.#around, options) }
  }

  #definition(options: string): ProtocolDefinition<PaxosMessage> {
    return this.#around.recorder.watch(protocol(JSON.parse(options)))
  }

  /** The same machine; what it answers is compared with the others' answers. */
  #observed(machine: EventMachine, life: Life, log: () => OrderedLog<Verdict> | undefined): StateMachine<Verdict> {
    const { agreement, recorder, trace, world } = this.#around
    return {
      outputs: machine.outputs,
      open: () => machine.open(),
      prefetch: (commands) => machine.prefetch(commands),
      apply: (command, at) => {
        const verdict = machine.apply(command, at)
        if (life.isAlive) agreement.onAnswer(this.id, at.slot, at.index, verdictText(verdict))
        return verdict
      },
      answers: (from, to) => machine.answers(from, to),
      slotApplied: (slot) => {
        machine.slotApplied(slot)
        if (!life.isAlive) return
        const hash = log()?.status().hash
        if (hash === undefined) return
        agreement.onApplied(this.id, slot, hash, world.stamped)
        recorder.onApplied(this.id, slot)
        trace.add(world.now, this.id, 'apply', `${slot} ${hash.slice(0, 12)}`)
        const violation = agreement.violations[0]
        if (violation !== undefined) this.#around.onViolation(violation)
      },
      flushed: () => machine.flushed(),
      sync: async () => machine.sync?.(),
      accepting: () => machine.accepting(),
      close: () => machine.close(),
    }
  }

  #onFailure(life: Life, error: unknown): void {
    if (!life.isAlive) return
    const message = error instanceof Error ? error.message : String(error)
    const isPlanted = isOfSimulator(error)
    this.#tell('failed', message)
    if (!isPlanted) {
      const stack = error instanceof Error ? error.stack : ''
      this.#around.onViolation({ kind: 'node', message: `${life.name} stopped by itself: ${message}\n${stack}` })
    }
    this.#end(life)
  }

  #end(life: Life): void {
    if (this.#life !== life) return
    this.#life = undefined
    this.#serving = undefined
    life.die()
    this.disk.crash()
    this.readDisk.crash()
    if (this.isKeptUp) this.#around.world.after(100, () => this.start())
    else this.#around.onDown(this)
  }

  #tell(event: string, detail: string): void {
    const { trace, world } = this.#around
    trace.add(world.now, this.id, event, detail)
  }
}

function isOfSimulator(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.message.includes('planted by the simulator') || isOfSimulator(error.cause)
}

/** Unique in the run, and not one that a client makes. */
function drawnId(node: number, life: number, count: number): Uint8Array {
  const id = new Uint8Array(16)
  const view = new DataView(id.buffer)
  view.setUint32(0, 0xffff_0000 + node)
  view.setUint32(4, life)
  view.setUint32(8, 0x4000_0000)
  view.setUint32(12, count)
  return id
}
