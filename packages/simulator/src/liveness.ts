/**
 * The liveness phase: a random quorum is mended in everything, the rest stays as it is for ever (a node that is up is
 * paused). Within a bound each node of the quorum has to take an append and answer a linearizable read; then all of them
 * have applied the same, and every subscriber has everything.
 */
import type { Run } from './run.ts'
import type { SimNode } from './world/sim-node.ts'

/** reliability.md: 10 s after a quorum is back. The worst of 1,000 seeds took 4.4 s, clients that try again and slow clocks included. */
const convergeMsMax = 10_000
const settleMsMax = 30_000

/** How long it took, in milliseconds; undefined after a violation. */
export async function heal(run: Run): Promise<number | undefined> {
  const { world, dice, nodes, plan, trace, onViolation } = run
  const healthy = dice.shuffled(nodes.filter(({ isWiped }) => !isWiped))
  const quorum = healthy.slice(0, Math.floor(plan.nodes / 2) + 1)
  trace.add(world.now, 'world', 'heal', quorum.map(({ id }) => id).join(' '))
  for (const node of nodes) if (!quorum.includes(node)) node.pause()
  run.asked.nodes = quorum
  mend(run, quorum)
  for (const client of [...run.clients, ...run.boundaryClients, ...run.retentionClients]) client.end()
  for (const reader of [...run.subscribers, ...run.consumers]) reader.hurry()
  const healedAt = world.now
  const serve = async (node: SimNode, at: number): Promise<boolean> => {
    const client = run.clients[at % run.clients.length]
    if (client === undefined) return false
    return (await client.probe(node, 's1', convergeMsMax)) && (await client.look(node, convergeMsMax))
  }
  const done: SimNode[] = []
  quorum.forEach((node, at) => void serve(node, at).then((served) => served && done.push(node)))
  const served = await world.runUntil(() => done.length === quorum.length || run.violations.length > 0, convergeMsMax)
  if (!served) {
    const missing = quorum.filter((node) => !done.includes(node))
    onViolation({
      kind: 'liveness',
      message: `${convergeMsMax} ms after the healing of ${quorum.map(({ id }) => id).join(' ')}: ${missing.map(describe).join('; ')}`,
    })
    return undefined
  }
  const convergedMs = world.now - healedAt
  await settle(run, quorum)
  return run.violations.length > 0 ? undefined : convergedMs
}

/** Clients end, everything is applied at every node of the quorum, and every subscriber has it. */
async function settle(run: Run, quorum: readonly SimNode[]): Promise<void> {
  const { world, subscribers, onViolation } = run
  const clients = [...run.clients, ...run.boundaryClients, ...run.retentionClients]
  let clientsLeft = clients.length
  for (const client of clients) void client.done.then(() => clientsLeft--)
  const isEqual = (): boolean => new Set(quorum.map((node) => node.serving?.log.status().applied ?? -1)).size === 1
  const head = (): number => quorum[0]?.serving?.events?.position() ?? 0
  const isTold = (): boolean => subscribers.every((subscriber) => subscriber.considered >= head())
  const group = watchGroup(run, quorum)
  const isDone = (): boolean => clientsLeft === 0 && isEqual() && isTold() && group.settled >= head()
  const settled = await world.runUntil(() => run.violations.length > 0 || isDone(), settleMsMax)
  group.end()
  if (settled) return
  const late = subscribers
    .filter((subscriber) => subscriber.considered < head())
    .map(({ considered, stream }) => `${stream ?? 'all'} at ${considered}`)
  onViolation({
    kind: 'liveness',
    message: `${settleMsMax} ms later: ${clientsLeft} clients at work; ${quorum.map(describe).join('; ')}; subscribers behind ${head()}: ${late.join(', ')}; the group settled ${group.settled}${group.why}`,
  })
}

/** How far the group is, asked again and again; where there is none it is everywhere. */
function watchGroup({ world, group }: Run, quorum: readonly SimNode[]): { settled: number; why: string; end(): void } {
  const watched = {
    settled: group === undefined ? Infinity : 0,
    why: '',
    isOver: group === undefined,
    end: () => void (watched.isOver = true),
  }
  const watch = async (): Promise<void> => {
    while (!watched.isOver) {
      // A node that cannot answer is asked again: whether it ever does is what the liveness phase is about.
      const status = await quorum[0]?.serving?.events?.groups.get(group?.group ?? '').catch(() => undefined)
      watched.settled = status?.settled ?? 0
      watched.why = status === undefined ? ', nothing is known of it' : `: ${status.why ?? 'it moves'}`
      await world.sleep(200)
    }
  }
  void watch()
  return watched
}

function mend(run: Run, quorum: readonly SimNode[]): void {
  for (const node of quorum) {
    node.disk.heal()
    node.readDisk.failsNext = false
    for (const other of quorum) if (other !== node) run.network.calm(node.id, other.id)
    node.life?.spare()
    node.resume()
    node.isKeptUp = true
    node.start()
  }
}

function describe(node: SimNode): string {
  const status = node.serving?.log.status()
  if (status === undefined) return `${node.id} is ${node.isUp ? 'starting' : 'down'}`
  return `${node.id} ${status.role} ${status.state} applied ${status.applied} of ${status.decided}`
}
