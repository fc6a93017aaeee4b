/** The numbers are those of the list of bugs that real systems had. */
import { describe, expect, test } from 'vitest'
import type { Ballot } from '@synod/consensus-paxos'
import { Lab, name, value } from './lab.ts'
import { noop, type Packet } from './lab-node.ts'
import { Simulation } from './simulation.ts'

const ballot = (round: number, node: string, boot = 1): Ballot => ({ round, node, boot })
const electionMsMax = 1_600

const leads = (simulation: Simulation, among: readonly string[]): boolean =>
  among.some((id) => simulation.node(id).role?.role === 'leader' && simulation.node(id).role?.available === true)

function offered(simulation: Simulation, id: string, entry: string, ms = 8_000): void {
  const node = simulation.node(id)
  let offer = 0
  const isOffered = (): boolean => {
    const fate = node.offers.get(offer)
    if (fate === undefined || fate === 'refused' || fate === 'abandoned') offer = node.offer(value(entry))
    return node.offers.get(offer) === 'offered'
  }
  expect(simulation.run(ms, isOffered), `${entry} at ${id}`).toBe(true)
}

test('bug 1: a hole that a leader left behind is filled by the next one, and the slot after it is applied', () => {
  const simulation = new Simulation(1, {})
  expect(simulation.run(5_000, () => simulation.leader !== undefined)).toBe(true)
  simulation.run(300)
  const old = simulation.leader!
  simulation.drop = ({ message }) =>
    (message.kind === 'accept' && message.slots.some(({ index }) => index === 2)) || message.kind === 'commit'
  for (const entry of ['a', 'b', 'c']) old.offer(value(entry))
  simulation.run(20)
  simulation.crash(old.id)
  simulation.drop = () => false
  const [other] = simulation.up
  offered(simulation, other!.id, 'd')
  expect(simulation.run(3_000, () => simulation.up.every((node) => node.delivered >= 4))).toBe(true)
  const log = [1, 2, 3, 4].map((index) => name(other!.slots.get(index)!.entry))
  expect(log).toEqual(['a', name(noop), 'c', 'd'])
})

describe('bug 2: a promise tells what is decided', () => {
  test('and what was accepted above; nothing below is reported as free', () => {
    const lab = new Lab({}, ['n1', 'n2', 'n3'], 3)
    lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(5, 'n1'), commit: 3, slots: [{ index: 5, entry: value('five') }] })
    lab.sync()
    lab.pool = []
    lab.inject('n3', 'n2', { kind: 'prepare', ballot: ballot(6, 'n3'), scope: 'suffix', index: 1 })
    lab.sync()
    expect(lab.packets('promise').map(({ message }) => message)).toEqual([
      {
        kind: 'promise',
        ballot: ballot(6, 'n3'),
        index: 1,
        decidedThrough: 3,
        slots: [{ index: 5, ballot: ballot(5, 'n1'), decided: false, entry: value('five') }],
      },
    ])
  })

  test('a leader that is behind fetches that, and proposes only above it', () => {
    const lab = new Lab({})
    lab.elect('n1', ({ from, to }) => from !== 'n3' && to !== 'n3')
    lab.node('n1').offer(value('one'))
    lab.node('n1').offer(value('two'))
    lab.flow(({ from, to }) => from !== 'n3' && to !== 'n3')
    lab.tick(100, ['n1'])
    lab.flow(({ from, to }) => from !== 'n3' && to !== 'n3')
    expect(lab.node('n2').delivered).toBe(2)
    lab.node('n1').crash()
    lab.pool = []
    lab.tick(2_000, ['n2'])
    lab.pool = []
    lab.elect('n3', ({ message }) => message.kind !== 'accept')
    expect(lab.fetches.at(-1)).toEqual({ by: 'n3', from: 1, to: 2, peer: 'n2' })
    expect(lab.packets('accept')).toEqual([])
    lab.node('n3').offer(value('three'))
    expect(new Set(lab.packets('accept').flatMap(({ message }) => message.slots.map(({ index }) => index)))).toEqual(new Set([3]))
  })
})

test('bug 3: after a promise nothing below it is accepted, at no index', () => {
  const lab = new Lab({})
  lab.inject('n1', 'n2', { kind: 'prepare', ballot: ballot(7, 'n1'), scope: 'suffix', index: 1 })
  lab.sync()
  lab.pool = []
  for (const index of [1, 2, 900])
    lab.inject('n3', 'n2', { kind: 'accept', ballot: ballot(6, 'n3'), commit: 0, slots: [{ index, entry: value('x') }] })
  lab.sync()
  expect(lab.packets('accepted')).toEqual([])
  expect(lab.packets('nack').map(({ message }) => message.promised)).toEqual([ballot(7, 'n1'), ballot(7, 'n1'), ballot(7, 'n1')])
})

test.each(['multi', 'basic'])('bug 4: %s, accepting raises the promise, also over a restart', (mode) => {
  const lab = new Lab({ mode })
  const scope = mode === 'multi' ? 'suffix' : 'slot'
  lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(3, 'n1'), commit: 0, slots: [{ index: 1, entry: value('x') }] })
  lab.sync()
  for (const restart of [false, true]) {
    if (restart) {
      lab.node('n2').crash()
      lab.node('n2').open()
    }
    lab.pool = []
    lab.inject('n3', 'n2', { kind: 'accept', ballot: ballot(2, 'n3'), commit: 0, slots: [{ index: 1, entry: value('y') }] })
    lab.inject('n3', 'n2', { kind: 'prepare', ballot: ballot(2, 'n3'), scope, index: 1 })
    lab.sync()
    expect(lab.pool.map(({ message }) => message.kind)).toEqual(['nack', 'nack'])
    expect(lab.packets('nack')[0]?.message.promised).toEqual(ballot(3, 'n1'))
  }
})

test.each(['multi', 'basic'])('bug 5: %s, what a crash can take back was not said', (mode) => {
  const lab = new Lab({ mode })
  const scope = mode === 'multi' ? 'suffix' : 'slot'
  lab.pool = []
  lab.inject('n1', 'n2', { kind: 'prepare', ballot: ballot(9, 'n1'), scope, index: 1 })
  lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(9, 'n1'), commit: 0, slots: [{ index: 1, entry: value('x') }] })
  expect(lab.pool).toEqual([])
  lab.node('n2').crash()
  lab.node('n2').open()
  lab.inject('n3', 'n2', { kind: 'prepare', ballot: ballot(8, 'n3'), scope, index: 1 })
  lab.sync()
  expect(lab.packets('promise').map(({ message }) => [message.ballot, message.slots])).toEqual([[ballot(8, 'n3'), []]])
})

test('bug 5: its own promise and vote count when they are durable', () => {
  const lab = new Lab({}, ['n1'])
  for (let turn = 0; turn < 10; turn++) lab.tick(20)
  expect(lab.node('n1').role?.role).not.toBe('leader')
  lab.sync()
  expect(lab.node('n1').role?.role).toBe('leader')
  const id = lab.node('n1').offer(value('x'))
  expect(lab.node('n1').offers.get(id)).toBe('open')
  lab.sync()
  expect(lab.node('n1').offers.get(id)).toBe('offered')
})

test('bug 8: a promise given to an earlier boot is worth nothing to the next one', () => {
  const lab = new Lab({})
  /** n1 stands, hearing of one node only; what it sends to whom does not get further than the prepare. */
  const stand = (grants: string): Ballot => {
    for (let turn = 0; turn < 200 && lab.packets('prepare').length === 0; turn++) {
      lab.tick(20, ['n1'])
      const due = lab.pool.filter(({ from, to, message }) => message.kind.startsWith('preVote') && (from === grants || to === grants))
      lab.pool = lab.pool.filter(({ message }) => message.kind === 'prepare')
      for (const packet of due) lab.deliver(packet)
    }
    return lab.packets('prepare')[0]!.message.ballot
  }
  const old = stand('n2')
  lab.deliver(lab.packets('prepare').find(({ to }) => to === 'n2')!)
  lab.node('n2').sync()
  const promise = lab.packets('promise')[0]!
  // n1 loses what it never synced, and asks again, of those who know of nothing.
  lab.node('n1').crash()
  lab.node('n1').open()
  lab.pool = []
  const fresh = stand('n3')
  lab.node('n1').sync()
  expect([fresh.round, fresh.boot]).toEqual([old.round, 2])
  for (let copies = 0; copies < 3; copies++) lab.deliver(promise)
  expect(lab.node('n1').role?.role).toBe('candidate')
})

test('bug 9: an accepted value is not learned from a commit under another ballot, it is fetched', () => {
  const lab = new Lab({})
  lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(5, 'n1'), commit: 0, slots: [{ index: 1, entry: value('lost') }] })
  lab.sync()
  lab.inject('n3', 'n2', { kind: 'heartbeat', ballot: ballot(6, 'n3'), sequence: 1, commit: 1 })
  for (let turn = 0; turn < 10; turn++) lab.tick(25, ['n2'])
  expect(lab.node('n2').delivered).toBe(0)
  expect(lab.fetches).toEqual([{ by: 'n2', from: 1, to: 1, peer: 'n3' }])
  // Under the same ballot it is.
  lab.inject('n1', 'n3', { kind: 'accept', ballot: ballot(9, 'n1'), commit: 0, slots: [{ index: 1, entry: value('kept') }] })
  lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(9, 'n1'), commit: 0, slots: [{ index: 1, entry: value('kept') }] })
  lab.sync()
  lab.inject('n1', 'n3', { kind: 'heartbeat', ballot: ballot(9, 'n1'), sequence: 1, commit: 1 })
  expect(lab.node('n3').delivered).toBe(1)
})

test('bug 12: old answers keep no leader in office and confirm no read', () => {
  const lab = new Lab({})
  lab.elect('n1')
  const answers: Packet[] = []
  for (let turn = 0; turn < 20; turn++) {
    lab.tick(25)
    lab.flow((packet) => {
      if (packet.message.kind === 'heartbeatAck') answers.push(packet)
      return true
    })
  }
  expect(answers.length).toBeGreaterThan(4)
  const read = lab.node('n1').barrier()
  lab.pool = []
  const since = lab.now
  while (lab.node('n1').role?.role === 'leader' && lab.now - since < 10_000) {
    lab.tick(25, ['n1'])
    lab.pool = []
    for (const packet of answers) lab.deliver(packet)
  }
  expect(lab.now - since).toBeLessThanOrEqual(electionMsMax + 100)
  expect(lab.node('n1').reads.has(read)).toBe(false)
})

test.each(['heartbeat', 'accept', 'commit'] as const)(
  'bug 12: a %s of a dead leader that comes again, for hours, keeps nobody from standing',
  (kind) => {
    const lab = new Lab({})
    lab.elect('n1')
    const said: Packet[] = []
    for (let turn = 0; turn < 20; turn++) {
      lab.node('n1').offer(value(`v${turn}`))
      lab.tick(25)
      lab.flow((packet) => {
        if (packet.from === 'n1' && packet.message.kind === kind) said.push(packet)
        return true
      })
    }
    expect(said.length).toBeGreaterThan(4)
    lab.node('n1').crash()
    lab.pool = []
    const since = lab.now
    const leads = (id: string): boolean => lab.node(id).role?.role === 'leader'
    while (!leads('n2') && !leads('n3') && lab.now - since < 10_000) {
      lab.tick(25, ['n2', 'n3'])
      for (const packet of said) lab.deliver(packet)
      lab.flow(({ from, to }) => from !== 'n1' && to !== 'n1')
    }
    expect(lab.now - since).toBeLessThanOrEqual(electionMsMax * 2)
  },
)

test('bug 14: an answer to a read of an earlier boot confirms none of this one, though their numbers are the same', () => {
  const lab = new Lab({})
  lab.elect('n1')
  lab.node('n2').crash()
  lab.node('n2').open()
  for (let turn = 0; turn < 8; turn++) {
    lab.tick(25)
    lab.flow()
  }
  const id = lab.node('n2').barrier()
  expect(lab.packets('read')).toMatchObject([{ from: 'n2', to: 'n1', message: { id, boot: 2 } }])
  lab.inject('n1', 'n2', { kind: 'readReply', boot: 1, id, index: 0 })
  expect(lab.node('n2').reads.get(id)).not.toHaveProperty('index')
  lab.inject('n1', 'n2', { kind: 'readReply', boot: 2, id, index: 0 })
  expect(lab.node('n2').reads.get(id)?.index).toBe(0)
})

test('bug 14: a new leader confirms no read before everything that phase 1 reported is chosen under its ballot', () => {
  const lab = new Lab({})
  // n1 decides "one" with n2; only n1 knows, and it dies.
  lab.elect('n1', ({ from, to }) => from !== 'n3' && to !== 'n3')
  lab.node('n1').offer(value('one'))
  lab.flow(({ from, to, message }) => from !== 'n3' && to !== 'n3' && message.kind !== 'commit')
  expect(lab.node('n1').delivered).toBe(1)
  lab.node('n1').crash()
  lab.pool = []
  lab.tick(2_000, ['n2'])
  lab.pool = []
  lab.elect('n3', ({ message }) => message.kind !== 'accept')
  const read = lab.node('n3').barrier()
  for (let turn = 0; turn < 10; turn++) {
    lab.tick(25, ['n2', 'n3'])
    lab.flow(({ message }) => message.kind !== 'accept')
  }
  expect(lab.node('n3').reads.get(read)).toEqual({ deliveredBefore: 1 })
  lab.flow()
  expect(lab.node('n3').reads.get(read)?.index).toBe(1)
  expect(lab.node('n3').delivered).toBe(1)
})

test.each([1, 2, 3, 4, 5, 6, 7, 8])('bug 21: proposers that meet at every step do not duel for ever (%i)', (seed) => {
  const lab = new Lab({ mode: 'basic' })
  for (const node of lab.nodes.values()) {
    node.crash()
    node.seed = seed * 1_000 + Number(node.id.slice(1))
    node.open()
  }
  lab.tick(25)
  lab.flow()
  const offers = [...lab.nodes.values()].flatMap((node) =>
    Array.from({ length: 10 }, (_, at) => ({ node, id: node.offer(value(`${node.id}-${at}`)) })),
  )
  // The scheduler is the worst there is: every message of a step arrives together, after everybody has sent theirs.
  for (let turn = 0; turn < 1_500 && offers.some(({ node, id }) => node.offers.get(id) === 'open'); turn++) {
    lab.sync()
    const due = lab.pool
    lab.pool = []
    for (const packet of due) lab.deliver(packet)
    lab.serve()
    if (turn % 3 === 2) lab.tick(5)
  }
  expect(offers.map(({ node, id }) => node.offers.get(id))).toEqual(offers.map(() => 'offered'))
})

test.each([1, 2, 3, 4, 5, 6, 7, 8])('bug 21: not even when every accept is overtaken by the prepare of the other (%i)', (seed) => {
  const lab = new Lab({ mode: 'basic' })
  for (const node of lab.nodes.values()) {
    node.crash()
    node.seed = seed * 1_000 + Number(node.id.slice(1))
    node.open()
  }
  lab.tick(25)
  lab.flow()
  const first = lab.node('n1').offer(value('n1'))
  lab.flow(({ message }) => message.kind !== 'accept')
  const second = lab.node('n2').offer(value('n2'))
  const fates = (): unknown[] => [lab.node('n1').offers.get(first), lab.node('n2').offers.get(second)]
  // Who is refused may prepare again before the other's accept arrives: without back-off this goes on for ever.
  for (let turn = 0; turn < 300 && fates().includes('open'); turn++) {
    lab.flow(({ message }) => message.kind !== 'accept')
    const [oldest] = lab.packets('accept')
    lab.flow(
      ({ from, message }) => message.kind !== 'accept' || (from === oldest?.from && message.ballot.round === oldest.message.ballot.round),
    )
    lab.serve()
    lab.tick(5)
  }
  expect(fates()).toEqual(['offered', 'offered'])
})

describe('bug 22: partial connectivity', () => {
  /** Only the pairs that are named can talk, both ways. */
  const link = (simulation: Simulation, pairs: readonly string[]): void => {
    for (const from of simulation.nodes.keys()) {
      for (const to of simulation.nodes.keys())
        if (!pairs.includes(`${from}-${to}`) && !pairs.includes(`${to}-${from}`)) simulation.cut(from, to)
    }
  }

  test.each([1, 2, 3, 4])('the hub that alone reaches a quorum leads within four election time-outs (%i)', (seed) => {
    const simulation = new Simulation(seed, {}, 5)
    simulation.run(5_000, () => simulation.leader !== undefined)
    offered(simulation, simulation.leader!.id, 'a')
    const old = simulation.leader!.id
    const hub = [...simulation.nodes.keys()].find((id) => id !== old)!
    link(
      simulation,
      [...simulation.nodes.keys()].map((id) => `${hub}-${id}`),
    )
    expect(simulation.run(electionMsMax * 4, () => leads(simulation, [hub]))).toBe(true)
    offered(simulation, hub, 'b', 2_000)
  })

  test.each([1, 2, 3, 4])('in a chain leadership does not flap, and the middle serves (%i)', (seed) => {
    const simulation = new Simulation(seed, {})
    simulation.run(5_000, () => simulation.leader !== undefined)
    simulation.run(500)
    simulation.cut('n1', 'n3')
    simulation.run(electionMsMax * 4)
    const term = simulation.leader?.id
    expect(term).toBeDefined()
    const changes = [...simulation.nodes.values()].map((node) => node.traces.filter((event) => event === 'leading').length)
    simulation.run(20_000)
    expect([...simulation.nodes.values()].map((node) => node.traces.filter((event) => event === 'leading').length)).toEqual(changes)
    offered(simulation, 'n2', 'b', 2_000)
    // The end that does not hear the leader keeps up all the same, through the middle.
    expect(
      simulation.run(5_000, () => [...simulation.nodes.values()].every((node) => node.delivered === simulation.oracle.deliveredHigh)),
    ).toBe(true)
  })

  test('a leader that hears answers but whose heartbeats arrive nowhere leaves', () => {
    const simulation = new Simulation(5, {})
    simulation.run(5_000, () => simulation.leader !== undefined)
    const old = simulation.leader!.id
    const others = [...simulation.nodes.keys()].filter((id) => id !== old)
    for (const id of others) simulation.cuts.add(`${old}>${id}`)
    expect(simulation.run(electionMsMax * 4, () => leads(simulation, others))).toBe(true)
    expect(simulation.node(old).role?.role).not.toBe('leader')
  })

  test('a node that was cut off and comes back deposes nobody', () => {
    const simulation = new Simulation(6, {})
    simulation.run(5_000, () => simulation.leader !== undefined)
    simulation.run(500)
    const leader = simulation.leader!
    const away = [...simulation.nodes.keys()].find((id) => id !== leader.id)!
    for (const id of simulation.nodes.keys()) simulation.cut(away, id)
    simulation.run(30_000)
    for (let at = 0; at < 20; at++) leader.offer(value(`v${at}`))
    simulation.heal()
    simulation.run(5_000)
    expect(simulation.leader?.id).toBe(leader.id)
    expect(leader.traces.filter((event) => event === 'leading').length).toBe(1)
    expect(simulation.node(away).delivered).toBe(simulation.oracle.deliveredHigh)
  })
})

test.each([1, 2, 3, 4])('bug 27: a leader whose disk is stuck leaves, and does not stand again before it moves (%i)', (seed) => {
  const simulation = new Simulation(seed, {})
  simulation.run(5_000, () => simulation.leader !== undefined)
  simulation.run(300)
  const old = simulation.leader!
  const others = [...simulation.nodes.keys()].filter((id) => id !== old.id)
  simulation.stalled.add(old.id)
  old.offer(value('x'))
  expect(simulation.run(electionMsMax * 4, () => leads(simulation, others))).toBe(true)
  offered(simulation, others[0]!, 'y', 3_000)
  simulation.run(10_000)
  expect(leads(simulation, others)).toBe(true)
  expect(old.role?.role).toBe('follower')
  simulation.unstall(old.id)
  expect(simulation.run(5_000, () => old.delivered === simulation.oracle.deliveredHigh)).toBe(true)
})
