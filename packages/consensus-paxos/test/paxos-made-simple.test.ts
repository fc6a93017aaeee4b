/**
 * The sentences of Lamport's "Paxos Made Simple" (2001), one test each, in the article's order; section 3 is in
 * paxos-made-simple-state-machine.test.ts. P1 to P2c are checked from
 * outside on everything that was said and accepted in random duels, rules of one role by handing a core the very message.
 */
import type { Ballot, PaxosMessage } from '@synod/consensus-paxos'
import { describe, expect, test } from 'vitest'
import { inEveryDuel, isBelow, type Accepted } from './duels.ts'
import { Lab, name, value } from './lab.ts'
import { accept, answer, ballot, modes, prepare } from './requests.ts'

describe('2.2 choosing a value', () => {
  test.each(modes)('P1, $mode: an acceptor accepts the first proposal that it receives, whatever its number', ({ mode }) => {
    for (const number of [ballot(1, 'n1'), ballot(900, 'n1', 7)]) {
      const lab = new Lab({ mode })
      expect(answer(lab, 'n1', 'n2', accept(number, 'x'))).toEqual([{ kind: 'accepted', ballot: number, indexes: [1] }])
    }
  })

  test.each(modes)(
    'P1a, $mode: it accepts number n if and only if it has not answered a prepare with a number above n',
    ({ mode, scope }) => {
      for (const [number, isAccepted] of [
        [ballot(4, 'n3'), false],
        [ballot(5, 'n1'), true],
        [ballot(6, 'n3'), true],
      ] as const) {
        const lab = new Lab({ mode })
        expect(answer(lab, 'n1', 'n2', prepare(ballot(5, 'n1'), scope)).map(({ kind }) => kind)).toEqual(['promise'])
        const kinds = answer(lab, number.node, 'n2', accept(number, 'x')).map(({ kind }) => kind)
        expect(kinds).toEqual([isAccepted ? 'accepted' : 'nack'])
        expect(lab.node('n2').slots.get(1)?.entry ?? value('')).toEqual(value(isAccepted ? 'x' : ''))
      }
    },
  )

  test('P2: every higher-numbered proposal that is chosen has the value of the one that was chosen', () => {
    inEveryDuel((observed) => {
      const chosen = observed.chosen()
      for (const one of chosen)
        for (const other of chosen) if (one.index === other.index && isBelow(one.number, other.number)) expect(other.value).toBe(one.value)
    })
  })

  test('P2a: every higher-numbered proposal that any acceptor accepts has it', () => {
    inEveryDuel((observed) => {
      for (const one of observed.chosen())
        for (const other of observed.accepted)
          if (one.index === other.index && isBelow(one.number, other.number)) expect(other.value).toBe(one.value)
    })
  })

  test('P2b: every higher-numbered proposal that any proposer issues has it', () => {
    inEveryDuel((observed) => {
      for (const one of observed.chosen())
        for (const { proposal } of observed.issued)
          if (one.index === proposal.index && isBelow(one.number, proposal.number)) expect(proposal.value).toBe(one.value)
    })
  })

  test('P2c: for every proposal there is a majority of which none accepted a lower number, or it has the value of their highest lower one', () => {
    const majorities = [
      ['n1', 'n2'],
      ['n1', 'n3'],
      ['n2', 'n3'],
    ]
    inEveryDuel((observed) => {
      for (const { proposal, acceptedBefore } of observed.issued) {
        const allows = majorities.some((majority) => {
          const lower = acceptedBefore.filter(
            ({ node, index, number }) => majority.includes(node) && index === proposal.index && isBelow(number, proposal.number),
          )
          const highest = lower.reduce<Accepted | undefined>(
            (best, one) => (best !== undefined && isBelow(one.number, best.number) ? best : one),
            undefined,
          )
          return highest === undefined || highest.value === proposal.value
        })
        expect(allows, `${proposal.value} at ${proposal.index}, round ${proposal.number.round} of ${proposal.number.node}`).toBe(true)
      }
    })
  })
})

describe('2.2 the algorithm', () => {
  test('phase 1 (a): a proposer selects a number above every one it has seen, and sends a prepare with it to a majority', () => {
    const lab = new Lab({ mode: 'basic' })
    lab.flow()
    lab.inject('n3', 'n1', prepare(ballot(41, 'n3'), 'slot', 7))
    lab.pool = []
    lab.node('n1').offer(value('x'))
    expect(lab.packets('prepare')).toEqual(['n2', 'n3'].map((to) => ({ from: 'n1', to, message: prepare(ballot(42, 'n1'), 'slot') })))
    expect(lab.packets('accept')).toEqual([])
  })

  test.each(modes)(
    'phase 1 (b), $mode: it answers a higher number with the promise and the highest-numbered proposal that it accepted',
    ({ mode, scope }) => {
      const lab = new Lab({ mode })
      answer(lab, 'n1', 'n2', accept(ballot(2, 'n1'), 'older'))
      answer(lab, 'n3', 'n2', accept(ballot(3, 'n3'), 'newer'))
      expect(answer(lab, 'n1', 'n2', prepare(ballot(4, 'n1'), scope))).toEqual([
        {
          kind: 'promise',
          ballot: ballot(4, 'n1'),
          index: 1,
          decidedThrough: 0,
          slots: [{ index: 1, ballot: ballot(3, 'n3'), decided: false, entry: value('newer') }],
        },
      ])
    },
  )

  test.each([
    ['the value of the highest-numbered among the responses', ['n4', 'n5'], 'from n5'],
    ['the same, whoever answers first', ['n5', 'n4'], 'from n5'],
    ['any value, its own, where none reported a proposal', ['n2', 'n3'], 'own'],
  ])('phase 2 (a): when a majority has answered, it proposes %s', (_, answering, expected) => {
    const lab = new Lab({ mode: 'basic' }, ['n1', 'n2', 'n3', 'n4', 'n5'])
    lab.flow()
    answer(lab, 'n5', 'n4', accept(ballot(2, 'n5'), 'from n4'))
    answer(lab, 'n4', 'n5', accept(ballot(3, 'n4'), 'from n5'))
    lab.inject('n5', 'n1', prepare(ballot(8, 'n5'), 'slot', 99))
    lab.pool = []
    lab.node('n1').offer(value('own'))
    lab.node('n1').sync()
    const asked = lab.packets('prepare')
    for (const [at, id] of answering.entries()) {
      expect(lab.packets('accept'), `${at + 1} of 5 promised`).toEqual([])
      lab.deliver(asked.find(({ to }) => to === id)!)
      lab.node(id).sync()
      for (const packet of lab.packets('promise').filter(({ from }) => from === id)) lab.deliver(packet)
    }
    expect(lab.packets('accept').map(({ to, message }) => [to, ...message.slots.map(({ entry }) => name(entry))])).toEqual(
      ['n2', 'n3', 'n4', 'n5'].map((to) => [to, expected]),
    )
  })

  test.each(modes)('phase 2 (b), $mode: an acceptor accepts unless it has answered a prepare of a higher number', ({ mode, scope }) => {
    const lab = new Lab({ mode })
    expect(answer(lab, 'n1', 'n2', accept(ballot(3, 'n1'), 'x')).map(({ kind }) => kind)).toEqual(['accepted'])
    answer(lab, 'n3', 'n2', prepare(ballot(4, 'n3'), scope))
    expect(answer(lab, 'n1', 'n2', accept(ballot(3, 'n1'), 'x')).map(({ kind }) => kind)).toEqual(['nack'])
    expect(answer(lab, 'n3', 'n2', accept(ballot(4, 'n3'), 'z')).map(({ kind }) => kind)).toEqual(['accepted'])
  })

  test.each(modes)(
    'an acceptor ignores a prepare with a number below one that it has answered; only out of kindness does it say so, with that number, $mode',
    ({ mode, scope }) => {
      const lab = new Lab({ mode })
      answer(lab, 'n1', 'n2', prepare(ballot(5, 'n1'), scope))
      expect(answer(lab, 'n3', 'n2', prepare(ballot(4, 'n3'), scope))).toEqual([
        { kind: 'nack', ballot: ballot(4, 'n3'), index: 1, promised: ballot(5, 'n1') },
      ])
      expect(lab.node('n2').writes).toEqual([])
      // It still holds the higher one to be promised.
      expect(answer(lab, 'n1', 'n2', accept(ballot(5, 'n1'), 'x')).map(({ kind }) => kind)).toEqual(['accepted'])
    },
  )

  test.each(modes)(
    'what it has promised and its highest accepted proposal it remembers though it fails and restarts, $mode',
    ({ mode, scope }) => {
      const lab = new Lab({ mode })
      answer(lab, 'n1', 'n2', accept(ballot(2, 'n1'), 'x'))
      answer(lab, 'n1', 'n2', prepare(ballot(6, 'n1'), scope))
      lab.node('n2').crash()
      lab.node('n2').open()
      expect(answer(lab, 'n3', 'n2', accept(ballot(5, 'n3'), 'y')).map(({ kind }) => kind)).toEqual(['nack'])
      const [promise] = answer(lab, 'n3', 'n2', prepare(ballot(7, 'n3'), scope))
      expect(promise).toMatchObject({ kind: 'promise', slots: [{ index: 1, ballot: ballot(2, 'n1'), entry: value('x') }] })
    },
  )

  test('a proposer may abandon a proposal at any time and forget it, so long as it never issues another one with its number', () => {
    const lab = new Lab({ mode: 'basic' })
    const numbers: Ballot[] = []
    for (let boot = 1; boot <= 5; boot++) {
      lab.pool = []
      lab.tick(100)
      lab.flow()
      lab.node('n1').offer(value(`of boot ${boot}`))
      numbers.push(...lab.packets('prepare').map(({ message }) => message.ballot))
      // Not even its own promise was written.
      lab.node('n1').crash()
      lab.node('n1').open()
    }
    expect(new Set(numbers.map(({ round, node, boot }) => `${round}.${node}.${boot}`)).size).toBe(5)
  })
})

describe('2.3 learning a chosen value', () => {
  test('a value is learned when a majority has accepted it under one number: not from a minority, not from a majority under several', () => {
    const lab = new Lab({ mode: 'basic' })
    lab.flow()
    lab.node('n1').offer(value('x'))
    lab.flow(({ message }) => message.kind !== 'accepted')
    expect(lab.node('n1').delivered).toBe(0)
    const { message } = lab.packets('accepted')[0]!
    lab.inject('n2', 'n1', { ...message, ballot: { ...message.ballot, round: message.ballot.round - 1 } })
    expect(lab.node('n1').delivered).toBe(0)
    lab.inject('n2', 'n1', message)
    expect(lab.node('n1').delivered).toBe(1)
  })

  test.each(modes)('the distinguished learner, which is the proposer, informs the others, $mode', ({ mode }) => {
    const lab = new Lab({ mode })
    if (mode === 'multi') lab.elect('n1')
    lab.flow()
    lab.node('n1').offer(value('x'))
    const learning = ['chosen', 'commit']
    lab.flow(({ message }) => !learning.includes(message.kind))
    expect([...lab.nodes.values()].map(({ delivered }) => delivered)).toEqual([1, 0, 0])
    expect(lab.pool.map(({ from, to }) => `${from}>${to}`)).toEqual(['n1>n2', 'n1>n3'])
    lab.flow()
    expect([...lab.nodes.values()].map(({ delivered }) => delivered)).toEqual([1, 1, 1])
  })

  test('a value may be chosen and no learner know: whoever needs to has a proposal issued, and learns that value', () => {
    const lab = new Lab({ mode: 'basic' })
    lab.flow()
    lab.node('n3').offer(value('x'))
    lab.flow(({ message, to }) => to !== 'n1' && message.kind !== 'accepted')
    lab.node('n3').crash()
    lab.pool = []
    lab.node('n1').step({ kind: 'want', from: 1, to: 1 })
    for (let turn = 0; turn < 20; turn++) {
      lab.tick(25)
      lab.flow()
    }
    expect(lab.decided(1)).toBe('x')
    expect([lab.node('n1').delivered, lab.node('n2').delivered]).toEqual([1, 1])
  })
})

describe('2.4 progress', () => {
  test('two proposers can each undo the other for ever, and nothing is chosen; with one of them there is progress', () => {
    const lab = new Lab({ mode: 'basic' })
    lab.flow()
    const passes = ({ message }: { message: PaxosMessage }): boolean => message.kind !== 'accept'
    lab.node('n1').offer(value('a'))
    lab.node('n2').offer(value('b'))
    const numbers = new Set<string>()
    for (let turn = 0; turn < 12; turn++) {
      // Phase 1 of one completes; then the accepts of the other arrive, and are too late.
      const [mover, other] = turn % 2 === 0 ? ['n1', 'n2'] : ['n2', 'n1']
      const stale = lab.pool.filter(({ message }) => message.kind === 'accept')
      lab.pool = lab.pool.filter(({ message }) => message.kind !== 'accept')
      lab.tick(2_000, [mover!])
      lab.flow(passes)
      for (const packet of stale) if (packet.from === other) lab.deliver(packet)
      lab.flow(passes)
      for (const { message } of lab.packets('accept')) numbers.add(`${message.ballot.round}.${message.ballot.node}`)
      if (turn < 6) expect(lab.oracle.decided.size).toBe(0)
    }
    expect(numbers.size).toBeGreaterThanOrEqual(3)
    // A distinguished proposer: n2 is not driven any more.
    for (let turn = 0; turn < 40 && lab.node('n1').delivered === 0; turn++) {
      lab.tick(20, ['n1'])
      lab.flow(({ from, message }) => from !== 'n2' || !['prepare', 'accept'].includes(message.kind))
    }
    expect(lab.node('n1').delivered).toBeGreaterThanOrEqual(1)
  })

  test('a distinguished proposer that is refused begins again with a higher number, and ends with one that is high enough', () => {
    const lab = new Lab({})
    answer(lab, 'n3', 'n2', prepare(ballot(50, 'n3'), 'suffix'))
    lab.pool = []
    lab.elect('n1', ({ from, to }) => from !== 'n3' && to !== 'n3')
    lab.node('n1').offer(value('x'))
    expect(lab.packets('accept')[0]!.message.ballot.round).toBeGreaterThan(50)
    lab.flow(({ from, to }) => from !== 'n3' && to !== 'n3')
    expect(lab.decided(1)).toBe('x')
  })
})

describe('2.5 the implementation', () => {
  test.each(modes)('an acceptor records its intended response in stable storage before it sends it, $mode', ({ mode, scope }) => {
    const lab = new Lab({ mode })
    for (const message of [prepare(ballot(3, 'n1'), scope), accept(ballot(3, 'n1'), 'x')]) {
      lab.pool = []
      lab.inject('n1', 'n2', message)
      expect(lab.node('n2').writes).toHaveLength(1)
      expect(lab.pool).toEqual([])
      lab.node('n2').sync()
      expect(lab.pool.map((packet) => packet.message.kind)).toEqual([message.kind === 'prepare' ? 'promise' : 'accepted'])
    }
  })

  test('different proposers choose their numbers from disjoint sets: no two proposals have one number', () => {
    inEveryDuel((observed) => {
      const values = new Map<string, string>()
      for (const { proposal } of observed.issued) {
        const number = `${proposal.index} ${proposal.number.round}.${proposal.number.node}.${proposal.number.boot}`
        expect(values.get(number) ?? proposal.value).toBe(proposal.value)
        values.set(number, proposal.value)
      }
    })
    const lab = new Lab({ mode: 'basic' })
    lab.flow()
    for (const node of lab.nodes.values()) node.offer(value(node.id))
    expect(new Set(lab.packets('prepare').map(({ message }) => message.ballot.round))).toEqual(new Set([1]))
    for (const { from, message } of lab.packets('prepare')) expect(message.ballot.node).toBe(from)
  })

  test('a proposer remembers in stable storage the highest number it tried, and begins phase 1 with a higher one', () => {
    const lab = new Lab({})
    lab.elect('n1', ({ message }) => message.kind !== 'heartbeat')
    const tried = lab.packets('heartbeat')[0]!.message.ballot
    lab.node('n1').crash()
    lab.node('n1').open()
    lab.pool = []
    lab.tick(2_000)
    lab.pool = []
    for (let turn = 0; turn < 200 && lab.packets('prepare').length === 0; turn++) {
      lab.tick(20, ['n1'])
      lab.flow(({ message }) => message.kind !== 'prepare')
    }
    expect(lab.packets('prepare')[0]!.message.ballot.round).toBeGreaterThan(tried.round)
  })
})
