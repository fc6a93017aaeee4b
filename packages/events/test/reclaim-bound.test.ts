// How far a node may give space back: the least of what every voter, the log and the machine say.
import { startReclaiming } from '@synod/events'
import type { LogSpace } from '@synod/log'
import { expect, test, vi } from 'vitest'
import { openNode } from './node.ts'

test.each([
  { what: 'some voter has not flushed', voters: 5, log: 90, machine: 100 },
  { what: 'a start of this node reads again', voters: 90, log: 5, machine: 100 },
  { what: 'this node has not flushed', voters: 90, log: 100, machine: 5 },
])('nothing is given back that $what', async ({ voters, log, machine }) => {
  const node = await openNode()
  await node.store.retention.setMetadata('s', { maxCount: 1 })
  const asked: number[] = []
  const space: LogSpace = {
    unneededThrough: () => log,
    pieces: (through) => {
      asked.push(through)
      return []
    },
    reclaim: () => Promise.reject(new Error('there is no piece')),
  }
  const reclaiming = startReclaiming({
    log: { space },
    machine: {
      index: node.machine.index,
      ticks: { time: 0, progress: () => new Map(), reclaimable: () => voters },
      flushed: () => machine,
    },
    passMs: 0,
    workShareMax: 1,
  })
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(2))
  await reclaiming.stop()
  expect(new Set(asked)).toEqual(new Set([5]))
  await node.store.close()
})
