/** Section 3 of "Paxos Made Simple": one leader, one instance a command. */
import { describe, expect, test } from 'vitest'
import { Lab, name, value } from './lab.ts'
import { noop } from './lab-node.ts'
import { accept, answer, ballot, prepare } from './requests.ts'

describe('3 the state machine', () => {
  const among =
    (...ids: string[]) =>
    ({ from, to }: { from: string; to: string }): boolean =>
      ids.includes(from) && ids.includes(to)

  test('a new leader executes phase 1 for infinitely many instances at once; an acceptor answers with what it accepted, and no more', () => {
    const lab = new Lab({}, ['n1', 'n2', 'n3'], 10)
    answer(lab, 'n3', 'n1', prepare(ballot(5, 'n3'), 'suffix', 11))
    answer(lab, 'n3', 'n2', accept(ballot(5, 'n3'), 'x', 14))
    lab.pool = []
    for (let turn = 0; turn < 200 && lab.packets('prepare').length === 0; turn++) {
      lab.tick(20, ['n1'])
      lab.flow(({ message }) => message.kind !== 'prepare')
    }
    // One short message to each, for every instance from 11 on.
    const number = ballot(6, 'n1')
    expect(lab.pool.map(({ to, message }) => ({ to, message }))).toEqual(
      ['n2', 'n3'].map((to) => ({ to, message: prepare(number, 'suffix', 11) })),
    )
    expect(answer(lab, 'n1', 'n2', prepare(number, 'suffix', 11))).toEqual([
      {
        kind: 'promise',
        ballot: number,
        index: 11,
        decidedThrough: 10,
        slots: [{ index: 14, ballot: ballot(5, 'n3'), decided: false, entry: value('x') }],
      },
    ])
    for (const index of [11, 12, 5_000])
      expect(answer(lab, 'n3', 'n2', accept(ballot(5, 'n3'), 'y', index)).map(({ kind }) => kind)).toEqual(['nack'])
  })

  test("the article's leader knows 1-134, 138 and 139, finds 135 and 140 proposed, and fills 136 and 137 with no-ops; the next command is 141", () => {
    const lab = new Lab({}, ['n1', 'n2', 'n3'], 134)
    for (const index of [138, 139]) {
      lab.oracle.choose(index, value(`v${index}`))
      lab.node('n1').step({ kind: 'learn', index, header: new Uint8Array(0), entry: value(`v${index}`) })
    }
    for (const index of [135, 140]) answer(lab, 'n3', 'n2', accept(ballot(1, 'n3'), `v${index}`, index))
    lab.sync()
    // n2 has not heard of that proposer for a while.
    lab.tick(2_000, ['n2'])
    lab.pool = []
    lab.elect('n1', (packet) => among('n1', 'n2')(packet) && packet.message.kind !== 'accept')
    const proposed = (): unknown[] =>
      lab
        .packets('accept')
        .filter(({ to }) => to === 'n2')
        .flatMap(({ message }) => message.slots.map(({ index, entry }) => [index, name(entry)]))
    expect(proposed()).toEqual([
      [135, 'v135'],
      [136, name(noop)],
      [137, name(noop)],
      [140, 'v140'],
    ])
    lab.node('n1').offer(value('next'))
    expect(proposed().at(-1)).toEqual([141, 'next'])
    lab.flow(among('n1', 'n2'))
    expect(lab.node('n1').delivered).toBe(141)
  })

  test('a leader proposes commands i+1 to i+α before command i is chosen, and no more; what is lost of them leaves a gap that it fills', () => {
    const lab = new Lab({ windowMax: 4 })
    lab.elect('n1')
    lab.flow()
    const offers = ['a', 'b', 'c', 'd', 'e'].map((entry) => lab.node('n1').offer(value(entry)))
    expect(offers.map((id) => lab.node('n1').offers.get(id))).toEqual(['open', 'open', 'open', 'open', 'refused'])
    // The first is lost, the others are chosen.
    lab.pool = lab.pool.filter(({ message }) => message.kind !== 'accept' || message.slots[0]!.index !== 1)
    lab.flow()
    expect([1, 2, 3, 4].map((index) => lab.decided(index))).toEqual([undefined, 'b', 'c', 'd'])
    expect(lab.node('n1').delivered).toBe(0)
    for (let turn = 0; turn < 10; turn++) {
      lab.tick(100)
      lab.flow()
    }
    expect([...lab.nodes.values()].map(({ delivered }) => delivered)).toEqual([4, 4, 4])
    expect(lab.decided(1)).toBe('a')
  })

  test('in normal operation only phase 2 is executed', () => {
    const lab = new Lab({})
    lab.elect('n1')
    lab.flow()
    const kinds = new Set<string>()
    for (let turn = 0; turn < 50; turn++) {
      lab.node(`n${(turn % 3) + 1}`).offer(value(`v${turn}`))
      lab.tick(25)
      lab.flow(({ message }) => {
        kinds.add(message.kind)
        return true
      })
    }
    expect(lab.node('n1').delivered).toBe(50)
    expect([...kinds].filter((kind) => ['prepare', 'promise', 'preVote', 'preVoteReply', 'nack'].includes(kind))).toEqual([])
  })

  test('while several believe that they lead, no two commands are chosen for one number', () => {
    const lab = new Lab({})
    lab.elect('n1')
    lab.flow()
    const parts = (packet: { from: string; to: string }): boolean => among('n2', 'n3')(packet)
    for (let turn = 0; turn < 60; turn++) {
      lab.tick(20, ['n2', 'n3'])
      lab.flow(parts)
    }
    const [next] = ['n2', 'n3'].filter((id) => lab.node(id).role?.role === 'leader')
    expect([lab.node('n1').role?.role, next]).toEqual(['leader', expect.any(String)])
    lab.node('n1').offer(value('old'))
    lab.node(next!).offer(value('new'))
    // The accepts of both arrive everywhere, those of the old leader first.
    for (const from of ['n1', next]) lab.flow((packet) => packet.from === from || packet.message.kind !== 'accept')
    lab.flow()
    expect(lab.decided(1)).toBe('new')
    expect(lab.node('n1').role?.role).toBe('follower')
  })
})
