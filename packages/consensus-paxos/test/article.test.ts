import { expect, test } from 'vitest'
import { Lab, name, value } from './lab.ts'
import { noop } from './lab-node.ts'

/** Three nodes that have decided 1 to 100. */
const article = (): Lab => new Lab({ mode: 'basic' }, ['n1', 'n2', 'n3'], 100)

/** Status is exchanged as long as there is life; it is let through among those that are named. */
const among =
  (...ids: string[]) =>
  ({ from, to }: { from: string; to: string }): boolean =>
    ids.includes(from) && ids.includes(to)

function repair(lab: Lab): void {
  lab.node('n1').step({ kind: 'want', from: 101, to: 101 })
  for (let turn = 0; turn < 20; turn++) {
    lab.tick(25)
    lab.flow(among('n1', 'n2'))
  }
}

test('N1 repairs 101; N2 accepted v101 but learned nothing; N3 decided v101 and is down: the round between N1 and N2 decides v101', () => {
  const lab = article()
  lab.flow()
  lab.node('n3').offer(value('v101'))
  lab.flow((packet) => among('n2', 'n3')(packet) && packet.message.kind !== 'chosen')
  expect(lab.node('n3').delivered).toBe(101)
  expect(lab.node('n2').delivered).toBe(100)
  lab.node('n3').crash()
  lab.pool = []
  repair(lab)
  expect(lab.node('n1').delivered).toBe(101)
  expect(lab.node('n2').delivered).toBe(101)
  expect(lab.decided(101)).toBe('v101')
  expect(name(lab.node('n1').slots.get(101)!.entry)).toBe('v101')
})

test('nobody accepted anything at 101: the round decides a no-op', () => {
  const lab = article()
  lab.flow()
  lab.node('n3').crash()
  lab.pool = []
  repair(lab)
  expect(lab.node('n1').delivered).toBe(101)
  expect(lab.node('n2').delivered).toBe(101)
  expect(lab.decided(101)).toBe(name(noop))
})

test('a round is interrupted when a peer knows the decision', () => {
  const lab = article()
  lab.flow()
  lab.node('n3').offer(value('v101'))
  lab.flow((packet) => among('n2', 'n3')(packet))
  expect(lab.node('n2').delivered).toBe(101)
  lab.pool = []
  // Not told of it by status, it begins a round; the answer is "decided", never the accepted value.
  lab.node('n1').step({ kind: 'want', from: 101, to: 101 })
  for (let turn = 0; turn < 20 && lab.packets('prepare').length === 0; turn++) lab.tick(25, ['n1'])
  lab.pool = lab.pool.filter(({ message }) => message.kind === 'prepare')
  lab.flow()
  expect(lab.fetches).toEqual([{ by: 'n1', from: 101, to: 101, peer: expect.stringMatching(/n[23]/) }])
  expect(lab.oracle.decided.get(101)).toBeDefined()
  const [slot] = lab.node('n2').serve(101, 101)
  lab.node('n1').step({ kind: 'learn', ...slot! })
  expect(lab.node('n1').traces).toContain('roundEnds')
  lab.flow()
  expect(lab.node('n1').delivered).toBe(101)
  for (let turn = 0; turn < 40; turn++) lab.tick(25, ['n1'])
  expect(lab.packets('prepare')).toEqual([])
  expect(lab.packets('accept')).toEqual([])
})

test('another decision at the slot moves the offer to the next one, and only that does', () => {
  const lab = article()
  lab.flow()
  const first = lab.node('n1').offer(value('from n1'))
  const second = lab.node('n2').offer(value('from n2'))
  // Phase 1 of n1 reaches n3 first, then n2 takes the slot over before n1 proposes.
  for (let turn = 0; turn < 400 && (lab.node('n1').offers.get(first) === 'open' || lab.node('n2').offers.get(second) === 'open'); turn++) {
    lab.tick(5)
    lab.flow()
  }
  expect([lab.node('n1').offers.get(first), lab.node('n2').offers.get(second)]).toEqual(['offered', 'offered'])
  expect(new Set([lab.decided(101), lab.decided(102)])).toEqual(new Set(['from n1', 'from n2']))
  expect(lab.decided(103)).toBeUndefined()
})

test('an offer whose first attempt went silent is not tried at another slot', () => {
  const lab = article()
  lab.flow()
  const id = lab.node('n1').offer(value('v'))
  lab.flow((packet) => packet.message.kind === 'prepare' || packet.message.kind === 'promise')
  expect(lab.packets('accept').length).toBe(2)
  // Nothing passes any more: given up, but not "sent nowhere", and no accept for any other slot.
  for (let turn = 0; turn < 140; turn++) lab.tick(25, ['n1'])
  expect(lab.node('n1').offers.get(id)).toBe('abandoned')
  expect(new Set(lab.packets('accept').flatMap(({ message }) => message.slots.map(({ index }) => index)))).toEqual(new Set([101]))
  expect(new Set(lab.packets('prepare').map(({ message }) => message.index))).toEqual(new Set())
})

test('an offer that no accept carried was sent nowhere', () => {
  const lab = article()
  lab.flow()
  const id = lab.node('n1').offer(value('v'))
  for (let turn = 0; turn < 140; turn++) lab.tick(25, ['n1'])
  expect(lab.node('n1').offers.get(id)).toBe('refused')
})

test('a node that hears no quorum refuses offers and confirms no read', () => {
  const lab = article()
  lab.flow()
  const read = lab.node('n1').barrier()
  for (let turn = 0; turn < 100; turn++) lab.tick(25, ['n1'])
  expect(lab.node('n1').role?.available).toBe(false)
  expect(lab.node('n1').offers.get(lab.node('n1').offer(value('v')))).toBe('refused')
  expect(lab.node('n1').reads.has(read)).toBe(false)
})

test('a read repairs up to the highest index that a quorum has seen accepted', () => {
  const lab = article()
  lab.flow()
  lab.node('n3').offer(value('v101'))
  lab.flow((packet) => among('n2', 'n3')(packet) && packet.message.kind !== 'chosen')
  lab.node('n3').crash()
  lab.pool = []
  const read = lab.node('n1').barrier()
  for (let turn = 0; turn < 20; turn++) {
    lab.tick(25)
    lab.flow(among('n1', 'n2'))
  }
  expect(lab.node('n1').reads.get(read)?.index).toBe(101)
  expect(lab.node('n1').delivered).toBe(101)
  expect(lab.decided(101)).toBe('v101')
})

test('what an acceptor holds and nobody finished is decided in the end, also when nobody asks', () => {
  const lab = article()
  lab.flow()
  lab.node('n3').offer(value('v101'))
  lab.flow((packet) => among('n2', 'n3')(packet) && packet.message.kind !== 'chosen')
  lab.node('n3').crash()
  lab.pool = []
  for (let turn = 0; turn < 80; turn++) {
    lab.tick(25)
    lab.flow(among('n1', 'n2'))
  }
  expect([lab.node('n1').delivered, lab.node('n2').delivered]).toEqual([101, 101])
  expect(lab.decided(101)).toBe('v101')
})
