/**
 * The commands of transcripts, over cores on a table (lab.ts). Nothing happens but what a command says: time stands still,
 * disks do not write, and what was sent lies in the pool until it is delivered or dropped. What crosses a partition is lost.
 *
 *   cluster [mode=basic] [nodes=3] [prefix=100] [option=value]   nodes that have all decided the prefix; comes first
 *   tick MS [node…]                 time goes by at those named, or at all that run: each has a clock of its own
 *   elect NODE · available          not shown step by step: it leads and has said so · basic nodes have heard of each other
 *   offer NODE entry… · barrier NODE · want NODE FROM TO · stepDown NODE
 *   sync [node…]                    writes become durable
 *   deliver|drop [what…]            what is in the pool now: `n1>n2`, `n1>`, `>n2` or a kind of message; `not` before it excludes;
 *                                   `first` or `last` of that
 *   flow [what…]                    syncs and delivers until nothing more moves
 *   fetch NODE                      hands in what the node asked to have fetched, as far as the peer has it
 *   crash NODE [WRITES] · restart NODE   so many of the writes under way are on the disk all the same
 *   partition n1,n2 n3 · heal
 *   state                           roles, what was delivered, and what is on the disks
 */
import type { PaxosMessage } from '@synod/consensus-paxos'
import { Lab, value } from '../lab.ts'
import type { LabNode, Packet } from '../lab-node.ts'
import { text } from '../oracle.ts'
import { ballotOf } from './ballot-of.ts'
import { messageText } from './message-text.ts'
import { RecordedCore } from './recorded-core.ts'
import { slotText, stepText } from './step-text.ts'

type Command = (scenario: Scenario, words: readonly string[]) => void

export class Scenario {
  #lines: string[] = []
  #lab: Lab | undefined
  /** Who is in which part. */
  #parts = new Map<string, number>()
  readonly #clocks = new Map<string, number>()
  #isSilent = false

  /** What came of it. Throws when there is no such command, or when a promise of the protocol was broken. */
  run(line: string): readonly string[] {
    this.#lines = []
    const [name = '', ...words] = line.split(' ')
    const command = commands.get(name)
    if (command === undefined) throw new Error(`there is no command ${name}`)
    const before = new Map([...(this.#lab?.nodes.values() ?? [])].map((node) => [node.id, node.delivered]))
    command(this, words)
    for (const { id, delivered } of this.#lab?.nodes.values() ?? [])
      if (delivered > (before.get(id) ?? delivered)) this.say(`${id}  delivered ${range((before.get(id) ?? 0) + 1, delivered)}`)
    return this.#lines.length === 0 ? ['nothing'] : this.#lines
  }

  get lab(): Lab {
    if (this.#lab === undefined) throw new Error('a transcript begins with the command cluster')
    return this.#lab
  }

  get members(): readonly string[] {
    return [...this.lab.nodes.keys()]
  }

  say(line: string): void {
    if (!this.#isSilent) this.#lines.push(line)
  }

  begin(lab: Lab): void {
    this.#lab = lab
    for (const node of lab.nodes.values()) this.record(node)
  }

  record(node: LabNode): void {
    node.core = new RecordedCore(node.running, (step) => {
      for (const line of stepText(node.id, step, this.members)) this.say(line)
    })
  }

  silently(run: () => void): void {
    this.#isSilent = true
    run()
    this.#isSilent = false
  }

  node(id: string | undefined): LabNode {
    const node = id === undefined ? undefined : this.lab.nodes.get(id)
    if (node === undefined) throw new Error(`there is no node ${id ?? ''}`)
    return node
  }

  nodes(ids: readonly string[]): LabNode[] {
    return ids.length === 0 ? [...this.lab.nodes.values()].filter(({ core }) => core !== undefined) : ids.map((id) => this.node(id))
  }

  split(parts: readonly string[]): void {
    this.#parts = new Map(parts.flatMap((part, at) => part.split(',').map((id): [string, number] => [this.node(id).id, at])))
  }

  /** What crosses the partition is lost. */
  lose(): void {
    this.lab.pool = this.lab.pool.filter((packet) => this.#connects(packet))
  }

  /** Takes out of the pool what it selects. */
  take(words: readonly string[]): Packet[] {
    this.lose()
    const all = this.lab.pool.filter(selection(words.filter((word) => word !== 'first' && word !== 'last')))
    const taken = words.includes('first') ? all.slice(0, 1) : words.includes('last') ? all.slice(-1) : all
    this.lab.pool = this.lab.pool.filter((packet) => !taken.includes(packet))
    return taken
  }

  tick(node: LabNode, ms: number): void {
    const now = (this.#clocks.get(node.id) ?? this.lab.now) + ms
    this.#clocks.set(node.id, now)
    node.step({ kind: 'tick', now })
  }

  /** Every clock shows the same again. */
  setClocks(): void {
    this.#clocks.clear()
  }

  flow(words: readonly string[]): void {
    const selects = selection(words)
    this.lab.flow((packet) => this.#connects(packet) && selects(packet))
  }

  #connects({ from, to }: Packet): boolean {
    return this.#parts.get(from) === this.#parts.get(to)
  }
}

/** Links are alternatives, kinds are alternatives, what is excluded is excluded. */
function selection(words: readonly string[]): (packet: Packet) => boolean {
  const excluded = words.filter((_, at) => words[at - 1] === 'not')
  const wanted = words.filter((word, at) => word !== 'not' && words[at - 1] !== 'not')
  const links = wanted.filter((word) => word.includes('>'))
  const kinds = wanted.filter((word) => !word.includes('>'))
  const is = (packet: Packet, word: string): boolean => {
    const [from, to] = word.split('>')
    if (to === undefined) return packet.message.kind === word
    return (from === '' || packet.from === from) && (to === '' || packet.to === to)
  }
  return (packet) =>
    (links.length === 0 || links.some((word) => is(packet, word))) &&
    (kinds.length === 0 || kinds.some((word) => is(packet, word))) &&
    !excluded.some((word) => is(packet, word))
}

function range(from: number, to: number): string {
  return from === to ? `${to}` : `${from}..${to}`
}

function number(word: string | undefined): number {
  const read = Number(word)
  if (!Number.isSafeInteger(read)) throw new Error(`${word ?? 'nothing'} is no whole number`)
  return read
}

function openCluster(scenario: Scenario, words: readonly string[]): void {
  const { nodes = '3', prefix = '0', mode, ...rest }: Record<string, string> = Object.fromEntries(words.map((word) => word.split('=')))
  const members = Array.from({ length: number(nodes) }, (_, at) => `n${at + 1}`)
  const options = Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, number(item)]))
  scenario.begin(new Lab({ ...options, ...(mode === undefined ? {} : { mode }) }, members, number(prefix)))
}

function elect(scenario: Scenario, [id]: readonly string[]): void {
  scenario.silently(() => {
    scenario.lab.elect(scenario.node(id).id)
    scenario.setClocks()
    scenario.flow([])
  })
  scenario.say(`${scenario.node(id).id} leads`)
}

function available(scenario: Scenario): void {
  scenario.silently(() => scenario.flow([]))
  for (const { id, role } of scenario.lab.nodes.values()) if (role?.available !== true) throw new Error(`${id} is not available`)
  scenario.say('all are available')
}

function fetch(scenario: Scenario, [id]: readonly string[]): void {
  const { fetches } = scenario.lab
  const node = scenario.node(id)
  for (const wanted of fetches.filter(({ by }) => by === node.id)) {
    fetches.splice(fetches.indexOf(wanted), 1)
    for (const slot of scenario.node(wanted.peer).serve(wanted.from, wanted.to)) node.step({ kind: 'learn', ...slot })
  }
}

function restart(scenario: Scenario, [id]: readonly string[]): void {
  const node = scenario.node(id)
  if (node.core !== undefined) throw new Error(`${node.id} is up`)
  scenario.record(node.open())
  scenario.say(`${node.id} is up, boot ${node.boot}`)
  scenario.tick(node, 0)
}

function showState(scenario: Scenario): void {
  const rows = scenario.members.map((id) => {
    const node = scenario.node(id)
    const role = node.role === undefined ? 'none' : node.role.role
    const promised = node.meta.get('promised')
    const slots = [...node.slots.values()]
      .filter(({ index }) => index > node.decidedThrough)
      .toSorted((left, right) => left.index - right.index)
    return [
      node.id,
      node.core === undefined ? 'down' : role,
      node.core === undefined ? '-' : `${node.delivered}`,
      promised === undefined ? '-' : text(ballotOf(promised, scenario.members)),
      `${node.decidedThrough}`,
      slots.map((slot) => slotText(slot, scenario.members)).join(' · ') || '-',
    ]
  })
  table([['node', 'role', 'delivered', 'on disk: promised', 'decided', 'above'], ...rows], scenario)
}

function table(rows: readonly (readonly string[])[], scenario: Scenario): void {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  for (const row of rows)
    scenario.say(
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}

const packetText = ({ from, to, message }: { from: string; to: string; message: PaxosMessage }): string =>
  `${from} > ${to}  ${messageText(message)}`.trimEnd()

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['cluster', openCluster],
  ['elect', elect],
  ['available', available],
  [
    'tick',
    (scenario, [ms, ...ids]) => {
      for (const node of scenario.nodes(ids)) scenario.tick(node, number(ms))
    },
  ],
  [
    'offer',
    (scenario, [id, ...entries]) => {
      for (const entry of entries) scenario.node(id).offer(value(entry))
    },
  ],
  ['barrier', (scenario, [id]) => void scenario.node(id).barrier()],
  ['want', (scenario, [id, from, to]) => scenario.node(id).step({ kind: 'want', from: number(from), to: number(to) })],
  ['stepDown', (scenario, [id]) => scenario.node(id).step({ kind: 'stepDown' })],
  [
    'sync',
    (scenario, ids) => {
      for (const node of scenario.nodes(ids)) node.sync()
    },
  ],
  [
    'deliver',
    (scenario, words) => {
      for (const packet of scenario.take(words)) {
        if (scenario.node(packet.to).core === undefined) scenario.say(`${packet.to} is down, lost: ${packetText(packet)}`)
        scenario.lab.deliver(packet)
      }
    },
  ],
  [
    'drop',
    (scenario, words) => {
      for (const packet of scenario.take(words)) scenario.say(packetText(packet))
    },
  ],
  ['flow', (scenario, words) => scenario.flow(words)],
  ['fetch', fetch],
  [
    'crash',
    (scenario, [id, writes = '0']) => {
      const node = scenario.node(id)
      const lost = node.writes.length - number(writes)
      node.crash(number(writes))
      scenario.say(`${node.id} is down, ${lost} ${lost === 1 ? 'write' : 'writes'} lost`)
    },
  ],
  ['restart', restart],
  ['partition', (scenario, parts) => scenario.split(parts)],
  ['heal', (scenario) => (scenario.lose(), scenario.split([]))],
  ['state', showState],
])
