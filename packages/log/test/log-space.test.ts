/** The log under a reclaimer: what may go, what a start needs, and what a start without it says. */
import type { KeptSlot, OrderedLog } from '@synod/log'
import { MemoryDisk } from '@synod/log/memory'
import { afterEach, expect, it, vi } from 'vitest'
import { emptyDisks, openNode, type NodeDisks, type TestNode } from './support/open-node.ts'
import { Sequencer } from './support/sequencer.ts'

const open: OrderedLog<number>[] = []
const limits = { saveSlotsMax: 10 }

afterEach(async () => {
  for (const log of open.splice(0)) await log.close()
})

async function* nothing(): AsyncIterable<readonly KeptSlot[]> {}

function smallPieces(): NodeDisks {
  return { ...emptyDisks(), log: new MemoryDisk({ pieceBytes: 200 }) }
}

async function start(sequencer: Sequencer, disks: NodeDisks): Promise<TestNode> {
  const node = await openNode(sequencer, disks, { limits })
  open.push(node.log)
  return node
}

async function propose({ log }: TestNode, count: number): Promise<void> {
  const opened = await log.openSession()
  if (opened.fate !== 'answered') throw new Error('no session')
  for (let sequence = 1; sequence <= count; sequence++) {
    const body = new TextEncoder().encode(`${sequence}`)
    await log.propose({ version: 1, session: opened.slot, sequence, floor: 1, principal: '', body, blobs: [] })
  }
}

it('nothing may go before the state is saved, and it is saved when what the machine flushed is synced, not before', async () => {
  const { log, machine } = await start(new Sequencer(), smallPieces())
  await propose({ log, machine, failures: [] }, 30)
  expect(log.space.unneededThrough()).toBe(0)
  const gate = Promise.withResolvers<void>()
  machine.syncing = gate.promise
  machine.flush()
  await propose({ log, machine, failures: [] }, 5)
  expect(log.space.unneededThrough()).toBe(0)
  gate.resolve()
  await vi.waitFor(() => expect(log.space.unneededThrough()).toBeGreaterThan(0))
  const through = log.space.unneededThrough()
  expect(through).toBeLessThanOrEqual(machine.flushed())
  const beyond = log.space.pieces(36).find(({ to }) => to > through)
  await expect(log.space.reclaim(beyond!, nothing())).rejects.toThrow(RangeError)
})

it('a node without its oldest slots starts as before, and goes on', async () => {
  const sequencer = new Sequencer()
  const disks = smallPieces()
  const first = await openNode(sequencer, disks, { limits })
  for (let round = 0; round < 6; round++) {
    await propose(first, 10)
    first.machine.flush()
  }
  await vi.waitFor(() => expect(first.log.space.unneededThrough()).toBeGreaterThan(20))
  for (const piece of first.log.space.pieces(first.log.space.unneededThrough())) await first.log.space.reclaim(piece, nothing())
  const reading = async (): Promise<void> => {
    for await (const { slot } of first.log.entries(1)) throw new Error(`slot ${slot} came`)
  }
  await expect(reading()).rejects.toMatchObject({ code: 'reclaimed' })
  const { hash, applied } = first.log.status()
  await first.log.close()
  const second = await start(sequencer, disks)
  await second.log.read()
  expect(second.log.status()).toMatchObject({ hash, applied })
  await propose(second, 3)
  expect(second.machine.list.length).toBe(63)
})

it('a crash that sets the machine back to what was synced finds what it needs', async () => {
  const sequencer = new Sequencer()
  const disks = smallPieces()
  const first = await openNode(sequencer, disks, { limits })
  for (let round = 0; round < 6; round++) {
    await propose(first, 10)
    first.machine.flush()
  }
  await propose(first, 10)
  await vi.waitFor(() => expect(first.log.space.unneededThrough()).toBeGreaterThan(20))
  for (const piece of first.log.space.pieces(first.log.space.unneededThrough())) await first.log.space.reclaim(piece, nothing())
  const { applied, hash } = first.log.status()
  const { synced, answers } = disks.list
  if (synced === undefined) throw new Error('nothing was synced')
  disks.log.crash()
  await first.log.close().catch(() => {})
  const crashed: NodeDisks = { log: disks.log, list: { ...synced, answers: answers.filter(({ slot }) => slot <= synced.slot) } }
  const second = await start(sequencer, crashed)
  await second.log.read()
  expect(second.log.status()).toMatchObject({ applied, hash })
})

it('a read side that is gone cannot be built again: the start is refused, and says what to do', async () => {
  const sequencer = new Sequencer()
  const disks = smallPieces()
  const first = await openNode(sequencer, disks, { limits })
  await propose(first, 40)
  await first.log.close()
  const second = await openNode(sequencer, disks, { limits })
  const [piece] = second.log.space.pieces(second.log.space.unneededThrough())
  await second.log.space.reclaim(piece!, nothing())
  await second.log.close()
  const emptied = { log: disks.log, list: emptyDisks().list }
  await expect(openNode(sequencer, emptied, { limits })).rejects.toMatchObject({
    name: 'StoreError',
    code: 'reclaimed',
    message: expect.stringMatching(/read side stands at slot 0.*replace the node/s) as string,
  })
  await start(sequencer, disks)
})
