/**
 * Three whole logs: core, runtime, session table and machine, over a network, disks and time of the test's own. Each node
 * may have a clock of its own. What a machine flushed is durable, every few slots.
 */
import type { Bytes } from '@synod/codec'
import { hostProtocol } from '@synod/consensus'
import { protocol } from '@synod/consensus-paxos'
import {
  openVirtualLog,
  type CommandAt,
  type Configuration,
  type Envelope,
  type OrderedLog,
  type Outcome,
  type StateMachine,
} from '@synod/log'
import { MemoryDisk, memoryLogStore } from '@synod/log/memory'
import type { Scheduler } from '@synod/transport'
import { memoryNetwork, VirtualScheduler } from '@synod/transport/memory'

const decoder = new TextDecoder()
const flushSlots = 3

interface Flushed {
  slot: number
  list: readonly string[]
  answers: readonly { readonly slot: number; readonly outputs: ReadonlyMap<number, number> }[]
}

/** A list of what it was told; the answer is the place in the list. */
class ListMachine implements StateMachine<number> {
  readonly list: string[]
  readonly #disk: Flushed
  #slot: number
  #answers: { readonly slot: number; readonly outputs: Map<number, number> }[] = []

  constructor(disk: Flushed) {
    this.#disk = disk
    this.list = [...disk.list]
    this.#slot = disk.slot
  }

  open(): Promise<number> {
    return Promise.resolve(this.#slot)
  }

  prefetch(): undefined {
    return undefined
  }

  apply(command: Envelope, { slot, index }: CommandAt): number {
    const output = this.list.push(decoder.decode(command.body))
    if (this.#answers.at(-1)?.slot !== slot) this.#answers.push({ slot, outputs: new Map() })
    this.#answers.at(-1)!.outputs.set(index, output)
    return output
  }

  async *answers(from: number, to: number): AsyncIterable<Flushed['answers'][number]> {
    yield* this.#disk.answers.filter(({ slot }) => slot >= from && slot <= to)
  }

  slotApplied(slot: number): void {
    this.#slot = slot
    if (slot % flushSlots === 0)
      Object.assign(this.#disk, { slot, list: [...this.list], answers: [...this.#disk.answers, ...this.#answers.splice(0)] })
  }

  flushed(): number {
    return this.#disk.slot
  }

  accepting(): boolean {
    return true
  }

  readonly outputs = {
    encode: (output: number): Bytes => new Uint8Array([output]),
    decode: ([output = 0]: Bytes): number => output,
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

interface Disks {
  readonly log: MemoryDisk
  readonly machine: Flushed
  /** Absent: never founded, or wiped. */
  readonly incarnation: string | undefined
}

export interface LogNode {
  readonly log: OrderedLog<number>
  readonly list: readonly string[]
  readonly failures: readonly Error[]
}

export interface LogClusterOptions {
  readonly mode?: 'multi' | 'basic'
  readonly sessionsMax?: number
  /** How fast time goes by at a node, and what its clock shows at the start. */
  readonly clocks?: Readonly<Record<string, { readonly rate: number; readonly offsetMs: number }>>
}

export class LogCluster {
  readonly members = ['n1', 'n2', 'n3']
  readonly scheduler = new VirtualScheduler()
  readonly #network = memoryNetwork({ scheduler: this.scheduler })
  readonly #options: LogClusterOptions
  readonly #disks = new Map<string, Disks>()
  readonly #nodes = new Map<string, LogNode>()
  #nonce = 0

  constructor(options: LogClusterOptions = {}) {
    this.#options = options
    for (const id of this.members) this.#disks.set(id, emptyDisks(incarnationOf(id)))
  }

  static async open(options?: LogClusterOptions): Promise<LogCluster> {
    const cluster = new LogCluster(options)
    for (const id of cluster.members) await cluster.start(id)
    await cluster.until(() => cluster.members.every((id) => cluster.node(id).log.status().state === 'serving'))
    return cluster
  }

  /** Throws when it is down. */
  node(id: string): LogNode {
    const node = this.#nodes.get(id)
    if (node === undefined) throw new Error(`${id} is down`)
    return node
  }

  async start(id: string): Promise<void> {
    const { log: disk, machine: flushed, incarnation } = this.disks(id)
    const scheduler = this.#clockOf(id)
    const store = memoryLogStore(disk, { defer: (run) => void this.scheduler.at(this.scheduler.now() + 1, run) })
    const { mode = 'multi', sessionsMax = 100 } = this.#options
    const voters = this.members.map((node) => ({ node, incarnation: node === id ? (incarnation ?? '') : incarnationOf(node) }))
    const configuration: Configuration = { cluster: 'cd'.repeat(16), epoch: 1, protocol: 'paxos', protocolOptions: mode, voters }
    if (incarnation !== undefined) await store.found({ node: id, incarnation, configuration })
    const machine = new ListMachine(flushed)
    const failures: Error[] = []
    const log = await openVirtualLog<number>({
      self: id,
      store,
      transport: this.#network.transport(id, this.members),
      loadLoglet: (_, options) => Promise.resolve(hostProtocol(protocol({ mode: options }))),
      machine,
      scheduler,
      nonce: ++this.#nonce,
      limits: { sessionsMax, saveSlotsMax: 4 },
      onFailure: (error) => failures.push(error),
    })
    this.#nodes.set(id, { log, list: machine.list, failures })
  }

  /** As kill -9 and a power cut in one. */
  async crash(id: string): Promise<void> {
    const { log } = this.node(id)
    const disks = this.disks(id)
    disks.log.crash()
    const machine = { ...disks.machine }
    this.#disks.set(id, { ...disks, machine })
    this.#nodes.delete(id)
    // A dead store refuses the last save.
    await this.wait(log.close().catch(() => undefined))
    this.#disks.set(id, { ...disks, machine })
  }

  /** Its store is emptied, and founded again where an incarnation is given; it is started again with the same id and address. */
  async wipe(id: string, incarnation?: string): Promise<void> {
    await this.crash(id)
    this.#disks.set(id, emptyDisks(incarnation))
    await this.start(id)
  }

  disks(id: string): Disks {
    const disks = this.#disks.get(id)
    if (disks === undefined) throw new Error(`${id} is no member`)
    return disks
  }

  async wait<T>(promise: Promise<T>, forMs = 60_000): Promise<T> {
    let settled = false
    const seen = promise.finally(() => (settled = true))
    seen.catch(() => undefined)
    await this.until(() => settled, forMs)
    return seen
  }

  async until(condition: () => boolean, forMs = 60_000): Promise<void> {
    if (!(await this.scheduler.runUntil(condition, forMs)))
      throw new Error(`not within ${forMs} ms of virtual time: ${condition.toString()}`)
  }

  /** Opens until it knows of one; what was decided unheard of stays unused. */
  async openSession(id: string): Promise<number> {
    const opened = await this.wait(this.node(id).log.openSession())
    if (opened.fate !== 'answered') throw new Error(`no session: ${opened.why}`)
    return opened.slot
  }

  /** Until the log has answered, or says that it knows nothing of the session. */
  async propose(id: string, session: number, sequence: number, body: string): Promise<Outcome<number>> {
    for (;;) {
      const outcome = await this.wait(this.node(id).log.propose(command(session, sequence, body)))
      if (outcome.fate === 'answered' || outcome.why === 'sessionExpired') return outcome
      await this.scheduler.run(50)
    }
  }

  /** All that run have applied the same slots. */
  async converge(): Promise<void> {
    const status = (): string[] => [...this.#nodes.values()].map(({ log }) => `${log.status().applied} ${log.status().hash}`)
    await this.until(() => new Set(status()).size === 1)
  }

  async close(): Promise<void> {
    for (const id of this.#nodes.keys()) await this.crash(id)
  }

  #clockOf(id: string): Scheduler {
    const { rate, offsetMs } = this.#options.clocks?.[id] ?? { rate: 1, offsetMs: 0 }
    const { scheduler } = this
    return {
      now: () => scheduler.now() * rate + offsetMs,
      at: (time, run) => scheduler.at((time - offsetMs) / rate, run),
      defer: (run) => scheduler.defer(run),
    }
  }
}

/** The floor stays at 1: this client keeps the right to ask for every answer again. */
export function command(session: number, sequence: number, body: string): Envelope {
  return { version: 1, session, sequence, floor: 1, principal: '', body: new TextEncoder().encode(body), blobs: [] }
}

function incarnationOf(id: string): string {
  return `0${id.slice(1)}`.repeat(16)
}

function emptyDisks(incarnation: string | undefined): Disks {
  return { log: new MemoryDisk(), machine: { slot: 0, list: [], answers: [] }, incarnation }
}
