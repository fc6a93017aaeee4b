import { describe, expect, test } from 'vitest'
import { protocol, type Ballot } from '@synod/consensus-paxos'
import { Lab, name, value } from './lab.ts'
import { Simulation } from './simulation.ts'

const ballot = (round: number, node: string, boot = 1): Ballot => ({ round, node, boot })

test('several offers are in flight at once and are decided in the order of the leader', () => {
  const lab = new Lab({})
  lab.elect('n1')
  const ids = ['a', 'b', 'c', 'd'].map((entry) => lab.node('n1').offer(value(entry)))
  expect(
    lab
      .packets('accept')
      .filter(({ to }) => to === 'n2')
      .flatMap(({ message }) => message.slots.map(({ index }) => index)),
  ).toEqual([1, 2, 3, 4])
  lab.flow()
  expect(ids.map((id) => lab.node('n1').offers.get(id))).toEqual(['offered', 'offered', 'offered', 'offered'])
  for (const node of lab.nodes.values())
    expect([1, 2, 3, 4].map((index) => name(node.slots.get(index)!.entry))).toEqual(['a', 'b', 'c', 'd'])
  expect([...lab.nodes.values()].map((node) => node.delivered)).toEqual([4, 4, 4])
})

describe('a follower', () => {
  test('hands offers and reads to the leader', () => {
    const lab = new Lab({})
    lab.elect('n1')
    const id = lab.node('n2').offer(value('x'))
    const read = lab.node('n3').barrier()
    lab.flow()
    expect(lab.node('n2').offers.get(id)).toBe('offered')
    expect(lab.node('n2').delivered).toBe(1)
    expect(lab.node('n3').reads.get(read)?.index).toBeGreaterThanOrEqual(0)
  })

  test('knows nothing of an offer that was not answered within a second', () => {
    const lab = new Lab({})
    lab.elect('n1')
    const id = lab.node('n2').offer(value('x'))
    const read = lab.node('n2').barrier()
    lab.pool = []
    for (let turn = 0; turn < 21; turn++) lab.tick(50, ['n2'])
    expect(lab.node('n2').offers.get(id)).toBe('abandoned')
    for (let turn = 0; turn < 21; turn++) lab.tick(50, ['n2'])
    expect(lab.node('n2').reads.has(read)).toBe(false)
  })

  test('an answer to an offer of an earlier boot settles nothing', () => {
    const lab = new Lab({})
    lab.elect('n1')
    lab.node('n2').offer(value('x'))
    lab.flow(({ message }) => message.kind !== 'offerReply')
    const reply = lab.packets('offerReply')[0]!
    lab.node('n2').crash()
    lab.node('n2').open()
    lab.pool = []
    lab.tick(100)
    lab.flow()
    const id = lab.node('n2').offer(value('y'))
    // Ids begin again with each boot.
    lab.inject('n1', 'n2', { ...reply.message, id })
    expect(lab.node('n2').offers.get(id)).toBe('open')
  })

  test('without a leader refuses', () => {
    const lab = new Lab({})
    expect(lab.node('n1').offers.get(lab.node('n1').offer(value('x')))).toBe('refused')
    const read = lab.node('n1').barrier()
    expect(lab.node('n1').reads.has(read)).toBe(false)
  })
})

test('at the end of its window a leader refuses, and takes more when there is room again', () => {
  const lab = new Lab({ windowMax: 3 })
  lab.elect('n1')
  const ids = Array.from({ length: 5 }, (_, at) => lab.node('n1').offer(value(`v${at}`)))
  expect(ids.map((id) => lab.node('n1').offers.get(id))).toEqual(['open', 'open', 'open', 'refused', 'refused'])
  lab.flow()
  expect(lab.node('n1').offers.get(lab.node('n1').offer(value('more')))).toBe('open')
})

test('an acceptor holds a bounded number of slots above its prefix, and always takes the next one', () => {
  const lab = new Lab({ windowMax: 4, heldMax: 4 })
  for (let index = 2; index <= 9; index++)
    lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(1, 'n1'), commit: 0, slots: [{ index, entry: value('x') }] })
  lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(1, 'n1'), commit: 0, slots: [{ index: 1, entry: value('x') }] })
  lab.sync()
  expect(lab.packets('accepted').flatMap(({ message }) => message.indexes)).toEqual([2, 3, 4, 5, 1])
})

test('a leader that is asked to step down finishes what it has, refuses more, and the fittest takes over at once', () => {
  const lab = new Lab({})
  lab.elect('n1')
  lab.tick(100)
  lab.flow()
  const id = lab.node('n1').offer(value('x'))
  lab.node('n1').step({ kind: 'stepDown' })
  expect(lab.node('n1').offers.get(lab.node('n1').offer(value('y')))).toBe('refused')
  lab.flow()
  expect(lab.node('n1').offers.get(id)).toBe('offered')
  expect(lab.node('n1').role?.role).toBe('follower')
  expect([...lab.nodes.values()].filter((node) => node.role?.role === 'leader').length).toBe(1)
})

test('a leader that learns another decision than its own proposal says nothing more under its ballot', () => {
  const lab = new Lab({})
  lab.elect('n1')
  const id = lab.node('n1').offer(value('mine'))
  lab.pool = []
  // The others have chosen "theirs" under a higher ballot, unheard by n1.
  lab.oracle.choose(1, value('theirs'))
  lab.node('n1').step({ kind: 'learn', index: 1, header: new Uint8Array(0), entry: value('theirs') })
  expect(lab.node('n1').offers.get(id)).toBe('abandoned')
  lab.tick(150, ['n1'])
  expect(lab.node('n1').role?.role).toBe('follower')
  expect(lab.pool.filter(({ from, message }) => from === 'n1' && ['commit', 'accept', 'heartbeat'].includes(message.kind))).toEqual([])
})

test('whoever is further behind than the bound is denied, and told how far it is', () => {
  const lab = new Lab({ farBehindMax: 5 }, ['n1', 'n2', 'n3'], 20)
  for (const decidedThrough of [14, 15]) lab.inject('n1', 'n2', { kind: 'preVote', boot: 1, nonce: decidedThrough, decidedThrough })
  expect(lab.packets('preVoteReply').map(({ message }) => [message.nonce, message.granted, message.decidedThrough])).toEqual([
    [14, false, 20],
    [15, true, 20],
  ])
})

test('a node that is far behind gets no pre-vote, catches up, and gets it then', () => {
  const simulation = new Simulation(3, { farBehindMax: 5, windowMax: 2_000 })
  simulation.run(5_000, () => simulation.leader !== undefined)
  simulation.run(300)
  const leader = simulation.leader!
  const [away, other] = [...simulation.nodes.keys()].filter((id) => id !== leader.id)
  simulation.crash(away!)
  for (let at = 0; at < 200; at++) leader.offer(value(`v${at}`))
  simulation.run(500)
  expect(leader.delivered).toBe(200)
  simulation.crash(leader.id)
  simulation.start(away!)
  expect(simulation.run(8_000, () => simulation.leader !== undefined)).toBe(true)
  expect(simulation.run(3_000, () => simulation.node(away!).delivered >= 200)).toBe(true)
  expect(simulation.node(other!).delivered).toBeGreaterThanOrEqual(200)
})

test('one node alone is a cluster', () => {
  const lab = new Lab({}, ['n1'])
  lab.elect('n1')
  const id = lab.node('n1').offer(value('x'))
  lab.flow()
  const read = lab.node('n1').barrier()
  expect(lab.node('n1').offers.get(id)).toBe('offered')
  expect(lab.node('n1').reads.get(read)?.index).toBe(1)
})

test('the decided prefix rides with other writes, and is written on its own when there are none', () => {
  const lab = new Lab({})
  lab.elect('n1')
  lab.node('n1').offer(value('x'))
  lab.flow()
  expect(lab.node('n2').delivered).toBe(1)
  expect(lab.node('n2').decidedThrough).toBe(0)
  for (let turn = 0; turn < 12; turn++) {
    lab.tick(100)
    lab.flow()
  }
  expect(lab.node('n2').decidedThrough).toBe(1)
})

describe('fork and digest', () => {
  test('a fork goes its own way, and the same way for the same input', () => {
    const simulation = new Simulation(9, {}, 3)
    simulation.run(5_000, () => simulation.leader !== undefined)
    const leader = simulation.leader!
    for (let at = 0; at < 5; at++) leader.offer(value(`v${at}`))
    const original = leader.running
    const before = original.digest()
    const [left, right] = [original.fork(), original.fork()]
    expect(left.digest()).toBe(before)
    for (const input of [
      { kind: 'offer' as const, id: 999, entry: value('fork') },
      { kind: 'tick' as const, now: 1e7 },
    ])
      expect(left.step(input)).toEqual(right.step(input))
    expect(left.digest()).toBe(right.digest())
    expect(left.digest()).not.toBe(before)
    expect(original.digest()).toBe(before)
  })

  test('the digest does not tell in which order the same came', () => {
    const [left, right] = [
      [5, 3],
      [3, 5],
    ].map((order) => {
      const lab = new Lab({})
      for (const index of order)
        lab.inject('n1', 'n2', { kind: 'accept', ballot: ballot(1, 'n1'), commit: 0, slots: [{ index, entry: value('x') }] })
      return lab.node('n2').running.fork()
    })
    // The same votes wait for the same writes, in the order of the writes: that is not the same until they are durable.
    for (const core of [left!, right!]) core.step({ kind: 'durable', token: 2 })
    expect(left!.digest()).toBe(right!.digest())
  })

  test('the digest tells nodes apart by name only', () => {
    const [left, right] = [
      ['n1', 'n2', 'n3'],
      ['a-leader', 'b', 'c'],
    ].map((members) => {
      const lab = new Lab({}, members)
      lab.inject(members[0]!, members[1]!, {
        kind: 'accept',
        ballot: ballot(4, members[0]!),
        commit: 0,
        slots: [{ index: 2, entry: value('x') }],
      })
      return lab.node(members[1]!).running
    })
    const names = new Map([
      ['a-leader', 'n1'],
      ['b', 'n2'],
      ['c', 'n3'],
    ])
    expect(right!.digest((node) => names.get(node)!)).toBe(left!.digest())
    expect(right!.digest()).not.toBe(left!.digest())
  })
})

test.each([
  [{ mode: 'raft' }, /mode/],
  [{ windowMaximum: 3 }, /windowMaximum/],
  [{ windowMax: 0 }, /windowMax/],
  [{ windowMax: '3' }, /windowMax/],
  [{ electionTimeoutMs: 100 }, /heartbeatMs/],
  [{ heldMax: 10 }, /heldMax/],
  ['multi', /object/],
  [[], /object/],
])('options %j are refused', (options, why) => {
  expect(() => protocol(options)).toThrow(RangeError)
  expect(() => protocol(options)).toThrow(why)
})

test('it says what it can do', () => {
  expect(protocol(undefined)).toMatchObject({
    mode: 'multi',
    capabilities: { leader: true, anyNodeProposes: true, linearizableRead: 'readIndex', durability: 'quorumDisk' },
  })
  expect(protocol({ mode: 'basic' })).toMatchObject({
    mode: 'basic',
    capabilities: { leader: false, anyNodeProposes: true, linearizableRead: 'barrier', durability: 'quorumDisk' },
  })
})

test('a store that another build wrote is refused', () => {
  const lab = new Lab({})
  lab.node('n1').slots.set(1, { index: 1, header: new Uint8Array([9]), entry: value('x') })
  lab.node('n1').crash()
  expect(() => lab.node('n1').open()).toThrow(/version 9/)
})

const between =
  (...ids: string[]) =>
  ({ from, to }: { from: string; to: string }): boolean =>
    ids.includes(from) && ids.includes(to)

test('a leader that learns of decisions above what it proposed was deposed, and stops', () => {
  const lab = new Lab({})
  lab.elect('n1')
  lab.flow()
  lab.pool = []
  for (let turn = 0; turn < 60; turn++) {
    lab.tick(20, ['n2', 'n3'])
    lab.flow(between('n2', 'n3'))
  }
  const next = ['n2', 'n3'].find((id) => lab.node(id).role?.role === 'leader')!
  for (const entry of ['a', 'b', 'c']) {
    lab.node(next).offer(value(entry))
    lab.flow(between('n2', 'n3'))
  }
  lab.pool = []
  expect(lab.node('n1').role?.role).toBe('leader')
  for (const slot of lab.node(next).serve(1, 3)) lab.node('n1').step({ kind: 'learn', ...slot })
  expect(lab.node('n1').role?.role).not.toBe('leader')
  expect(lab.node('n1').offers.get(lab.node('n1').offer(value('x')))).toBe('refused')
})

test('a row that was delivered is never overwritten, though its node forgot that it was decided', () => {
  const members = ['n1', 'n2', 'n3', 'n4', 'n5']
  const lab = new Lab({}, members)
  /** Nobody else stands. */
  const leads = (leader: string, ...ids: string[]): void => {
    lab.tick(3_000, ids)
    for (let turn = 0; turn < 200 && lab.node(leader).role?.role !== 'leader'; turn++) {
      lab.flow((packet) => between(...ids)(packet) && (!['preVote', 'prepare'].includes(packet.message.kind) || packet.from === leader))
      lab.pool = []
      lab.tick(20, ids)
    }
    expect(lab.node(leader).role?.role).toBe('leader')
  }
  lab.elect('n1')
  lab.flow()
  lab.pool = []
  lab.node('n1').offer(value('v'))
  lab.flow(({ message, to }) => message.kind === 'accept' && to === 'n5')
  lab.pool = []
  lab.node('n1').crash()
  leads('n2', 'n2', 'n3', 'n4')
  lab.flow(between('n2', 'n3', 'n4'))
  lab.pool = []
  lab.node('n2').offer(value('other'))
  const late = lab.pool.filter(({ message, to }) => message.kind === 'accept' && to === 'n5')
  expect(late).toHaveLength(1)
  lab.pool = []
  lab.node('n2').crash(0)
  lab.node('n1').open()
  leads('n3', 'n1', 'n3', 'n4')
  lab.flow(between('n1', 'n3', 'n4'))
  expect(name(lab.node('n3').slots.get(1)!.entry)).toBe('v')
  for (const slot of lab.node('n3').serve(1, 1)) lab.node('n5').step({ kind: 'learn', ...slot })
  lab.sync()
  expect(lab.node('n5').delivered).toBe(1)
  lab.node('n5').crash()
  lab.node('n5').open()
  lab.tick(20, ['n5'])
  for (const packet of late) lab.deliver(packet)
  lab.sync()
  expect(name(lab.node('n5').slots.get(1)!.entry)).toBe('v')
})
