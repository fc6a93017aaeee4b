import { SlowCommits, StatusWatch } from '@synod/event-store'
import { expect, test } from 'vitest'

type Status = ReturnType<ConstructorParameters<typeof StatusWatch>[0]['status']>

class Told {
  readonly lines: string[] = []
  now = 0
  leaderChanges = 0
  status: Status = {
    state: 'unavailable',
    why: 'no quorum',
    role: 'follower',
    leader: null,
    protocol: '',
    mode: '',
    epoch: 1,
    decidedSlot: 10,
    appliedSlot: 10,
    position: 5,
  }
  readonly log = {
    tell: (event: string, fields: object) => void this.lines.push(`${event} ${JSON.stringify(fields)}`),
  }
  readonly watch = new StatusWatch({
    id: 'n1',
    status: () => this.status,
    log: this.log,
    onLeaderChange: () => void this.leaderChanges++,
    now: () => this.now,
  })

  /** What is told when the node becomes so, so many milliseconds later. */
  after(milliseconds: number, changed: Partial<Status> = {}): string[] {
    this.now += milliseconds
    this.status = { ...this.status, ...changed }
    this.watch.look()
    return this.lines.splice(0)
  }
}

const serving = { state: 'serving' } as const

function started(): Told {
  const told = new Told()
  told.watch.start()
  return told
}

test('a node that starts finds its peers before it says that it has none', () => {
  const told = started()
  expect(told.after(2000)).toEqual([])
  expect(told.after(500, { ...serving, leader: 'n2' })).toEqual([
    'leaderChanged {"leader":"n2","was":null,"milliseconds":2500}',
    'ready {"leader":"n2","appliedSlot":10,"position":5,"milliseconds":2500}',
  ])
  const alone = started()
  expect(alone.after(2999)).toEqual([])
  expect(alone.after(1)).toEqual(['unavailable {"why":"no quorum"}'])
})

test('an orderly hand-over is one line, a lost leader is told', () => {
  const told = started()
  told.after(100, { ...serving, leader: 'n2' })
  expect(told.after(1000, { leader: null })).toEqual([])
  expect(told.after(30, { leader: 'n3' })).toEqual(['leaderChanged {"leader":"n3","was":"n2","milliseconds":30}'])
  expect(told.after(1000, { leader: null })).toEqual([])
  expect(told.after(499)).toEqual([])
  expect(told.after(1)).toEqual(['leaderLost {"was":"n3"}'])
  expect(told.after(1)).toEqual([])
  // The same one again is no change, but the loss was told.
  expect(told.after(99, { leader: 'n3' })).toEqual(['leaderChanged {"leader":"n3","was":"n3","milliseconds":600}'])
  expect(told.leaderChanges).toBe(2)
})

test('a moment without a leader, and then the same, is nothing', () => {
  const told = started()
  told.after(100, { ...serving, leader: 'n2' })
  told.after(10, { leader: null })
  expect(told.after(10, { leader: 'n2' })).toEqual([])
  expect(told.leaderChanges).toBe(1)
})

test('where there is no leader nobody misses one', () => {
  const told = started()
  expect(told.after(100, { ...serving, role: 'replica' })).toEqual([
    'ready {"leader":null,"appliedSlot":10,"position":5,"milliseconds":100}',
  ])
  expect(told.after(10_000)).toEqual([])
})

test('falling behind and catching up say from where to where, and how long it took', () => {
  const told = started()
  told.after(100, { ...serving, leader: 'n2' })
  expect(told.after(1000, { state: 'catchingUp', why: '990 slots', decidedSlot: 1000 })).toEqual([
    'catchingUp {"appliedSlot":10,"decidedSlot":1000}',
  ])
  expect(told.after(700, { appliedSlot: 500 })).toEqual([])
  expect(told.after(300, { ...serving, appliedSlot: 1000, position: 700 })).toEqual([
    'caughtUp {"appliedSlot":1000,"slots":990,"milliseconds":1000}',
    'ready {"leader":"n2","appliedSlot":1000,"position":700,"milliseconds":1000}',
  ])
})

test('a node that takes no part says why, once', () => {
  const told = started()
  expect(told.after(10, { state: 'wiped', why: 'the store is empty' })).toEqual([
    'takesNoPart {"state":"wiped","why":"the store is empty"}',
  ])
  expect(told.after(10_000)).toEqual([])
})

test('slow commits are told at most once in ten seconds, with how many there were', () => {
  const lines: string[] = []
  let now = 0
  const slow = new SlowCommits({ tell: (event, fields) => void lines.push(`${event} ${JSON.stringify(fields)}`) }, () => now)
  slow.committed({ milliseconds: 999 })
  expect(lines).toEqual([])
  slow.committed({ milliseconds: 1500.4 })
  for (const milliseconds of [2000, 1200]) slow.committed({ milliseconds })
  now = 10_000
  slow.committed({ milliseconds: 1100 })
  expect(lines).toEqual(['storeSlow {"milliseconds":1500,"commits":1}', 'storeSlow {"milliseconds":2000,"commits":3}'])
})
