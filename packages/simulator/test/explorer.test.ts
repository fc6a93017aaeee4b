import type { Effect, Input, Protocol, ProtocolDefinition } from '@synod/consensus'
import { protocol, type PaxosMessage } from '@synod/consensus-paxos'
import { explore, type Bounds } from '@synod/simulator/explorer'
import { describe, expect, it, vi } from 'vitest'

// Seconds each, and minutes where others use the machine.
vi.setConfig({ testTimeout: 180_000 })

const small: Bounds = {
  protocol: 'paxos',
  nodes: 3,
  proposers: 3,
  ballots: 2,
  rounds: 1,
  values: 2,
  slots: 1,
  crashes: 0,
  isApart: false,
  hasSmallQuorum: false,
  statesMax: 2_000_000,
}

/** What the core wants done, changed on the way out. */
function changed(change: (effects: readonly Effect<PaxosMessage>[], input: Input<PaxosMessage>) => readonly Effect<PaxosMessage>[]) {
  const wrap = (core: Protocol<PaxosMessage>): Protocol<PaxosMessage> => ({
    step: (input) => change(core.step(input), input),
    fork: () => wrap(core.fork()),
    digest: (rename) => core.digest(rename),
    get decidedHigh() {
      return core.decidedHigh
    },
    codec: core.codec,
  })
  return (options: unknown): ProtocolDefinition<PaxosMessage> => {
    const definition = protocol(options)
    return { ...definition, open: (opened) => wrap(definition.open(opened)) }
  }
}

describe('single-decree Paxos', () => {
  it('holds in every state of 2 ballots and 2 values, and each projects onto the specification', () => {
    const result = explore(small)
    expect(result.violation).toBeUndefined()
    expect(result.isCut).toBe(false)
    expect(result.states).toBeGreaterThan(30_000)
    // 3,921 states has the model of that size; the proposers sit at acceptors, so that not all are reached.
    expect(result.coverage?.states).toBe(3_921)
    expect(result.coverage?.covered).toBeGreaterThan(2_500)
    expect(result.stepCounts.length).toBeLessThanOrEqual(4)
  })

  it('holds with write and send apart, and a crash between', () => {
    const result = explore({ ...small, ballots: 1, isApart: true, crashes: 1 })
    expect(result.violation).toBeUndefined()
    expect(result.isCut).toBe(false)
    expect(result.states).toBeGreaterThan(3_000)
  })

  it('holds with a second round of the same node', () => {
    const result = explore({ ...small, proposers: 2, rounds: 2, values: 1 })
    expect(result.violation).toBeUndefined()
    expect(result.isCut).toBe(false)
  })

  it('finds a quorum that is too small, by a shortest trace', () => {
    const { violation } = explore({ ...small, hasSmallQuorum: true })
    expect(violation?.what).toMatch(/^agreement: slot 1 was learned as v1 and as v2/)
    // Two rounds past each other: an offer, one promise, one vote each.
    expect(violation?.trace).toHaveLength(6)
  })

  it('says so when it was cut', () => {
    expect(explore({ ...small, statesMax: 100 })).toMatchObject({ isCut: true, violation: undefined })
  })
})

describe('Multi-Paxos', () => {
  it('holds in every state of 2 slots, with a crash and restart', () => {
    const result = explore({ ...small, protocol: 'multi', ballots: 1, slots: 2, values: 1, crashes: 1, proposers: 1 })
    expect(result.violation).toBeUndefined()
    expect(result.isCut).toBe(false)
    expect(result.states).toBeGreaterThan(100_000)
  })

  it('bug 2: holds in every state of a change of leaders with two commands, whatever is lost', () => {
    const result = explore({ ...small, protocol: 'multi', proposers: 2 })
    expect(result.violation).toBeUndefined()
    expect(result.isCut).toBe(false)
    expect(result.states).toBeGreaterThan(20_000)
  })

  it('bug 2: finds a promise that omits what is decided', () => {
    const definition = changed((effects) =>
      effects.map((effect) =>
        effect.kind === 'send' && effect.message.kind === 'promise'
          ? { ...effect, message: { ...effect.message, decidedThrough: 0, slots: [] } }
          : effect,
      ),
    )
    expect(explore({ ...small, protocol: 'multi', proposers: 2 }, { definition }).violation?.what).toMatch(
      /no quorum of 1b allows this value/,
    )
  })

  it('finds a quorum that is too small', () => {
    const { violation } = explore({ ...small, protocol: 'multi', hasSmallQuorum: true })
    expect(violation?.what).toMatch(/^agreement/)
  })
})

describe('what is erased from a digest tells no two nodes apart', () => {
  const bounds: readonly (readonly [string, Bounds])[] = [
    ['a second round', { ...small, proposers: 1, rounds: 2 }],
    ['a crash between write and send', { ...small, ballots: 1, isApart: true, crashes: 1 }],
    ['a change of leaders', { ...small, protocol: 'multi', proposers: 2 }],
    ['a leader that crashes and leads again', { ...small, protocol: 'multi', proposers: 1, rounds: 2, crashes: 1, values: 1 }],
  ]

  it.each(bounds)(
    '%s: the same nodes with other clocks and another generator, and what is taken for a node does what that does',
    (_, of) => {
      const here = explore(of, { checksMerged: true })
      const elsewhere = explore(of, { clockMs: 7_000_000, seed: 99 })
      expect(here.mergedNodes).toBeGreaterThan(10)
      expect(elsewhere.nodesHash).toBe(here.nodesHash)
      expect(elsewhere.states).toBe(here.states)
    },
  )

  /** The same core with another digest. */
  const told = (digest: (core: Protocol<PaxosMessage>, now: number) => string) => {
    const wrap = (core: Protocol<PaxosMessage>, clock: { now: number }): Protocol<PaxosMessage> => ({
      step: (input) => {
        if (input.kind === 'tick') clock.now = input.now
        return core.step(input)
      },
      fork: () => wrap(core.fork(), { ...clock }),
      digest: () => digest(core, clock.now),
      get decidedHigh() {
        return core.decidedHigh
      },
      codec: core.codec,
    })
    return (options: unknown): ProtocolDefinition<PaxosMessage> => {
      const definition = protocol(options)
      return { ...definition, open: (opened) => wrap(definition.open(opened), { now: 0 }) }
    }
  }
  const tiny: Bounds = { ...small, ballots: 1, isApart: true }

  it('a time under another name shows', () => {
    const definition = told((core, now) => `${core.digest()} lastTick:${now}`)
    expect(explore(tiny, { definition, clockMs: 7_000_000 }).nodesHash).not.toBe(explore(tiny, { definition }).nodesHash)
  })

  it('something erased that matters shows', () => {
    const definition = told((core) => core.digest().replace(/rounds:Map\{.*?\}\}/, ''))
    expect(() => explore({ ...small, values: 1 }, { definition, checksMerged: true })).toThrow(/two nodes that are told alike/)
  })
})

describe('a planted fault is found', () => {
  it('a promise that leaves before it is durable', () => {
    const definition = changed((effects) =>
      effects.map((effect) => (effect.kind === 'send' && effect.message.kind === 'promise' ? { ...effect, reveals: 'nothing' } : effect)),
    )
    expect(explore({ ...small, isApart: true }, { definition }).violation?.what).toMatch(/promise .* leaves before it is on disk/)
  })

  it('a vote that is not persisted', () => {
    const definition = changed((effects, input) =>
      input.kind === 'message' && input.message.kind === 'accept' ? effects.filter(({ kind }) => kind !== 'persist') : effects,
    )
    expect(explore(small, { definition }).violation?.what).toMatch(/vote .* leaves before it is on disk/)
  })

  it('a promise that does not report the vote', () => {
    const definition = changed((effects) =>
      effects.map((effect) =>
        effect.kind === 'send' && effect.message.kind === 'promise' ? { ...effect, message: { ...effect.message, slots: [] } } : effect,
      ),
    )
    expect(explore(small, { definition }).violation?.what).toMatch(/no quorum of 1b allows this value/)
  })

  it('two values under one ballot', () => {
    const definition = changed((effects) =>
      effects.flatMap((effect) => {
        if (effect.kind !== 'send' || effect.message.kind !== 'accept') return [effect]
        const other = effect.message.slots.map(({ index }) => ({ index, entry: new TextEncoder().encode('v2') }))
        return [effect, { ...effect, message: { ...effect.message, slots: other } }]
      }),
    )
    expect(explore(small, { definition }).violation?.what).toMatch(/one value per ballot|another one was proposed/)
  })
})
