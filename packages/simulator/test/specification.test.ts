import { LogletCluster } from '@synod/consensus/conformance'
import { majority, type Quorums } from '@synod/consensus'
import { protocol } from '@synod/consensus-paxos'
import {
  eventText,
  majorityModel,
  modelStates,
  PaxosModel,
  replay,
  TraceRecorder,
  type SpecificationEvent,
} from '@synod/simulator/specification'
import { describe, expect, it } from 'vitest'

const entry = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A cluster on a network that loses, doubles and delays, with crashes of one node after the other. */
async function recordedRun(
  mode: 'basic' | 'multi',
  seed: number,
): Promise<{ trace: SpecificationEvent[]; quorums: Quorums; offered: number }> {
  const recorder = new TraceRecorder()
  const cluster = new LogletCluster(recorder.watch(protocol({ mode })), 3, seed)
  cluster.network.faults.set(
    {},
    { lossRate: 0.15, duplicateRate: 0.3, delayMsMin: 0, delayMsMax: 40, stragglerRate: 0.05, stragglerMsMax: 3_000 },
  )
  await cluster.start()
  await cluster.scheduler.run(3_000)
  let offered = 0
  for (let round = 0; round < 12; round++) {
    const offers = [...cluster.nodes.values()].map(({ id, loglet }) => loglet.offer(entry(`${id}-${round}`)))
    void Promise.all(offers).then((fates) => (offered += fates.filter((fate) => fate === 'offered').length))
    await cluster.scheduler.run(400)
    if (round % 3 === 2) {
      const [id] = [...cluster.nodes.keys()].slice(round % 2)
      await cluster.crash(id!)
      await cluster.scheduler.run(1_500)
      await cluster.startNode(id!)
      await cluster.scheduler.run(2_000)
    }
  }
  await cluster.scheduler.run(5_000)
  await cluster.close()
  return { trace: recorder.trace, quorums: majority(cluster.members), offered }
}

describe('the model of the specification', () => {
  it('has 185,369 states with 3 acceptors, 3 ballots and 2 values, as TLC and spin count', () => {
    const states = modelStates(majorityModel(3, 3, 2))
    expect(states.keys.size).toBe(185_369)
    expect(states.depth).toBe(24)
  })

  it('refines consensus, and chooses a value once the highest ballot has been served', () => {
    const model = majorityModel(3, 2, 2)
    const seen = new Set<string>()
    const open = [model.initial()]
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const actions = [...model.actions(state)]
      const chosen = [...model.chosen(state)]
      // Messages only grow: a run that is fair to the highest ballot comes to rest where nothing of it is left to be done.
      if (actions.every(({ ballot }) => ballot < 2)) expect(chosen).toHaveLength(1)
      for (const action of actions) {
        const next = state.slice()
        model.perform(next, action)
        if (chosen.length > 0) expect([...model.chosen(next)]).toEqual(chosen)
        if (seen.has(model.key(next))) continue
        seen.add(model.key(next))
        open.push(next)
      }
    }
    expect(seen.size + 1).toBe(3_921)
  })

  it('chooses two values when quorums miss each other', () => {
    const isQuorum = (set: number): boolean => set !== 0
    const model = new PaxosModel({ acceptors: 2, ballots: 2, values: 2, isPhase1Quorum: isQuorum, isPhase2Quorum: isQuorum })
    expect(() => modelStates(model)).toThrow(/two values are chosen/)
  })
})

describe.each(['basic', 'multi'] as const)('a run of %s', (mode) => {
  it.each([1, 2, 3, 4, 5, 6])('is one of the specification, seed %i', async (seed) => {
    const { trace, quorums, offered } = await recordedRun(mode, seed)
    const replayed = replay(trace, quorums)
    expect(offered).toBeGreaterThan(10)
    expect(replayed.chosen).toBeGreaterThanOrEqual(offered)
    expect(replayed.steps).toBeGreaterThan(100)
    expect(replayed.ballots).toBeGreaterThan(mode === 'basic' ? 10 : 1)
  })
})

describe('a trace is refused', () => {
  const quorums = majority(['n1', 'n2', 'n3'])
  const low = { round: 1, node: 'n1', boot: 1 }
  const high = { round: 2, node: 'n2', boot: 1 }

  it.each(['slot', 'suffix'] as const)('where an acceptor goes back on its promise, for a %s', (scope) => {
    const perSlot = scope === 'slot' ? { index: 1 } : {}
    const trace: SpecificationEvent[] = [
      { kind: '1a', ballot: low, scope, index: 1 },
      { kind: '1b', node: 'n1', ballot: low, ...perSlot },
      { kind: '1b', node: 'n2', ballot: low, ...perSlot },
      { kind: '2a', ballot: low, index: 1, value: 'aa' },
      { kind: '1a', ballot: high, scope, index: 1 },
      { kind: '1b', node: 'n3', ballot: high, ...perSlot },
    ]
    expect(replay(trace, quorums).steps).toBe(6)
    expect(() => replay([...trace, { kind: '2b', node: 'n3', ballot: low, index: 1, value: 'aa' }], quorums)).toThrow(
      /it has promised 2\.n2\.1/,
    )
    expect(() => replay([...trace, { kind: '1b', node: 'n3', ballot: low, ...perSlot }], quorums)).toThrow(/it has promised 2\.n2\.1/)
    expect(eventText(trace[0]!)).toBe(`1a 1.n1.1 for slot 1${scope === 'slot' ? '' : ' and up'}`)
  })

  it('where accepting does not raise the promise for every slot', () => {
    const trace: SpecificationEvent[] = [
      { kind: '1a', ballot: low, scope: 'suffix', index: 1 },
      { kind: '1b', node: 'n1', ballot: low },
      { kind: '1b', node: 'n2', ballot: low },
      { kind: '2a', ballot: low, index: 1, value: 'aa' },
      { kind: '2b', node: 'n3', ballot: low, index: 1, value: 'aa' },
    ]
    expect(() => replay(trace, quorums)).toThrow(/it has promised nothing/)
    expect(replay(trace.toSpliced(4, 0, { kind: '1b', node: 'n3', ballot: low }), quorums).steps).toBe(6)
  })
})

it('takes a yes under an old ballot, of a node that knows another decision, for a vote that chooses nothing; of nobody else', () => {
  const quorums = majority(['n1', 'n2', 'n3', 'n4', 'n5'])
  const low = { round: 1, node: 'n1', boot: 1 }
  const high = { round: 2, node: 'n3', boot: 1 }
  const promises = (ballot: typeof low, nodes: readonly string[]): SpecificationEvent[] =>
    nodes.map((node) => ({ kind: '1b', node, ballot }))
  const votes = (ballot: typeof low, value: string, nodes: readonly string[]): SpecificationEvent[] =>
    nodes.map((node) => ({ kind: '2b', node, ballot, index: 1, value }))
  const before: SpecificationEvent[] = [
    { kind: '1a', ballot: low, scope: 'suffix', index: 1 },
    ...promises(low, ['n1', 'n2', 'n4']),
    { kind: '2a', ballot: low, index: 1, value: 'aa' },
    ...votes(low, 'aa', ['n1']),
    { kind: '1a', ballot: high, scope: 'suffix', index: 1 },
    ...promises(high, ['n3', 'n4', 'n5']),
    { kind: '2a', ballot: high, index: 1, value: 'bb' },
    ...votes(high, 'bb', ['n3', 'n4', 'n5']),
  ]
  const learned: SpecificationEvent = { kind: 'learned', node: 'n2', index: 1, value: 'bb' }
  const yes = (node: string): SpecificationEvent => ({ kind: 'says2b', node, ballot: low, index: 1 })
  expect(replay([...before, learned, yes('n2')], quorums)).toMatchObject({ steps: 15, stutters: 1, chosen: 1 })
  expect(() => replay([...before, yes('n2')], quorums)).toThrow(/its vote is not durable, and it does not know the decision/)
  expect(() => replay([...before, learned, yes('n4')], quorums)).toThrow(/it has promised 2\.n3\.1 for every slot/)
})

it('refuses a promise that hides a vote', () => {
  const quorums = majority(['n1', 'n2', 'n3'])
  const first = { round: 1, node: 'n1', boot: 1 }
  const second = { round: 2, node: 'n2', boot: 1 }
  const nothing = { decidedThrough: 0, decided: [], votes: [] }
  const trace: SpecificationEvent[] = [
    { kind: '1a', ballot: first, scope: 'slot', index: 1 },
    { kind: '1b', node: 'n1', ballot: first, report: nothing },
    { kind: '1b', node: 'n2', ballot: first, report: nothing },
    { kind: '2a', ballot: first, index: 1, value: 'aa' },
    { kind: '2b', node: 'n1', ballot: first, index: 1, value: 'aa' },
    { kind: '1a', ballot: second, scope: 'slot', index: 1 },
  ]
  expect(replay(trace, quorums)).toMatchObject({ steps: 6, stutters: 0, chosen: 0 })
  const honest = { ...nothing, votes: [{ index: 1, ballot: first, value: 'aa' }] }
  expect(replay([...trace, { kind: '1b', node: 'n1', ballot: second, report: honest }], quorums).steps).toBe(7)
  expect(() => replay([...trace, { kind: '1b', node: 'n1', ballot: second, report: nothing }], quorums)).toThrow(
    /it voted under 1\.n1\.1, and says otherwise/,
  )
})
