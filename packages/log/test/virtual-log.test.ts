import { SessionProposer, type Envelope, type OrderedLog, type Outcome } from '@synod/log'
import { memoryLogStore } from '@synod/log/memory'
import { afterEach, describe, expect, it } from 'vitest'
import { emptyDisks, openNode, type NodeDisks, type TestNode } from './support/open-node.ts'
import { Sequencer } from './support/sequencer.ts'

const encoder = new TextEncoder()
const open: OrderedLog<number>[] = []

afterEach(async () => {
  for (const log of open.splice(0)) await log.close()
})

async function start(sequencer: Sequencer, disks: NodeDisks, options: Parameters<typeof openNode>[2] = {}): Promise<TestNode> {
  const node = await openNode(sequencer, disks, options)
  open.push(node.log)
  return node
}

async function session(log: OrderedLog<number>): Promise<number> {
  const opened = await log.openSession()
  if (opened.fate !== 'answered') throw new Error(`no session: ${JSON.stringify(opened)}`)
  return opened.slot
}

function command(id: number, sequence: number, text = `${id}/${sequence}`, floor = 1): Envelope {
  return { version: 1, session: id, sequence, floor, principal: '', body: encoder.encode(text), blobs: [] }
}

describe('the log', () => {
  it('answers a command once it is applied, in order', async () => {
    const { log, machine } = await start(new Sequencer(), emptyDisks())
    const id = await session(log)
    const outcomes = await Promise.all([1, 2, 3].map((sequence) => log.propose(command(id, sequence))))
    expect(outcomes.map((outcome) => outcome.fate === 'answered' && outcome.output)).toEqual([1, 2, 3])
    expect(machine.list).toEqual([`${id}/1`, `${id}/2`, `${id}/3`])
  })

  it('puts what is proposed in one turn into one slot', async () => {
    const sequencer = new Sequencer()
    const { log } = await start(sequencer, emptyDisks())
    const id = await session(log)
    await Promise.all(Array.from({ length: 100 }, (_, at) => log.propose(command(id, at + 1))))
    expect(sequencer.entries).toHaveLength(2)
  })

  it('executes a command once, however often it is proposed, and gives the first answer again', async () => {
    const { log, machine } = await start(new Sequencer(), emptyDisks())
    const id = await session(log)
    const first = await log.propose(command(id, 1))
    await log.propose(command(id, 2))
    const again = await Promise.all([log.propose(command(id, 1)), log.propose(command(id, 1))])
    expect(again).toEqual([first, first])
    expect(machine.list).toEqual([`${id}/1`, `${id}/2`])
  })

  it.each(['refused', 'abandoned', 'abandonedButDecided', 'abandonedAndDecidedLate'] as const)(
    'offers again what was %s, and executes it once',
    async (fate) => {
      const sequencer = new Sequencer()
      const { log, machine } = await start(sequencer, emptyDisks())
      const id = await session(log)
      sequencer.fates.push(fate, fate)
      expect(await log.propose(command(id, 1))).toMatchObject({ fate: 'answered', output: 1 })
      await log.propose(command(id, 2))
      expect(machine.list).toEqual([`${id}/1`, `${id}/2`])
    },
  )

  it('says never only while the command has left nowhere, and unknown afterwards', async () => {
    const sequencer = new Sequencer()
    const { log } = await start(sequencer, emptyDisks())
    const id = await session(log)
    sequencer.fates.push(...Array.from({ length: 1000 }, () => 'refused' as const))
    expect(await log.propose(command(id, 1), { signal: AbortSignal.timeout(100) })).toEqual({ fate: 'never', why: 'notServing' })
    sequencer.fates.splice(0, Infinity, ...Array.from({ length: 1000 }, () => 'abandoned' as const))
    expect(await log.propose(command(id, 2), { signal: AbortSignal.timeout(100) })).toEqual({ fate: 'unknown', why: 'timeout' })
    sequencer.fates.length = 0
    expect(await log.propose(command(id, 2))).toMatchObject({ fate: 'answered', output: 1 })
  })

  it('refuses a session that it does not know, and one that was forgotten, without executing', async () => {
    const { log, machine } = await start(new Sequencer(), emptyDisks(), { limits: { sessionsMax: 2 } })
    const first = await session(log)
    await session(log)
    await session(log)
    expect(await log.propose(command(first, 1))).toEqual({ fate: 'unknown', why: 'sessionExpired' })
    expect(await log.propose(command(77, 1))).toEqual({ fate: 'unknown', why: 'sessionExpired' })
    expect(machine.list).toEqual([])
  })

  it('refuses a sequence below the floor that was not executed', async () => {
    const { log, machine } = await start(new Sequencer(), emptyDisks())
    const id = await session(log)
    await log.propose(command(id, 5, 'five', 5))
    expect(await log.propose(command(id, 4, 'four', 4))).toEqual({ fate: 'unknown', why: 'sessionExpired' })
    expect(machine.list).toEqual(['five'])
  })

  it('refuses as busy when too much waits, and when the machine says so; as too large what fits no slot', async () => {
    const sequencer = new Sequencer()
    const { log, machine } = await start(sequencer, emptyDisks(), { limits: { pendingCommandsMax: 10, batchBytesMax: 1000 } })
    const id = await session(log)
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, at) => log.propose(command(id, at + 1))))
    expect(outcomes.filter((outcome) => outcome.fate === 'never' && outcome.why === 'busy')).toHaveLength(10)
    machine.isAccepting = false
    expect(await log.propose(command(id, 50))).toEqual({ fate: 'never', why: 'busy' })
    machine.isAccepting = true
    expect(await log.propose(command(id, 51, 'x'.repeat(2000)))).toEqual({ fate: 'never', why: 'tooLarge' })
    expect(await log.propose(command(id, 52))).toMatchObject({ fate: 'answered' })
  })

  it('says at once that it is not serving where no quorum answers', async () => {
    const sequencer = new Sequencer()
    sequencer.available = false
    const { log } = await start(sequencer, emptyDisks())
    expect(await log.openSession()).toEqual({ fate: 'never', why: 'notServing' })
    await expect(log.read()).rejects.toMatchObject({ code: 'unavailable' })
    expect(log.status().state).toBe('unavailable')
  })

  it('is the same after a crash, whatever the machine had flushed and the log had saved', async () => {
    const sequencer = new Sequencer()
    const disks = emptyDisks()
    let hash = ''
    let proposed = 0
    let id = 0
    const answers = new Map<number, Outcome<number>>()
    for (let life = 0; life < 12; life++) {
      const { log, machine } = await openNode(sequencer, disks, { limits: { saveSlotsMax: 5 } })
      await log.read()
      if (life === 0) id = await session(log)
      else expect(log.status().hash).toBe(hash)
      for (const [sequence, answer] of answers) expect(await log.propose(command(id, sequence))).toEqual(answer)
      for (let count = 0; count < 7; count++) {
        proposed++
        answers.set(proposed, await log.propose(command(id, proposed)))
        if ((life + count) % 4 === 0) machine.flush()
      }
      const { length } = machine.list
      expect(length).toBe(proposed)
      hash = log.status().hash
      // Killed: what was not flushed and not durable is gone.
      disks.log.crash()
      const list = { ...disks.list, list: [...disks.list.list], answers: [...disks.list.answers] }
      await log.close().catch(() => undefined)
      Object.assign(disks.list, list)
    }
    expect(proposed).toBe(84)
  })

  it('starts where it was after a clean close', async () => {
    const sequencer = new Sequencer()
    const disks = emptyDisks()
    const first = await openNode(sequencer, disks)
    const id = await session(first.log)
    const answer = await first.log.propose(command(id, 1))
    const { hash } = first.log.status()
    await first.log.close()
    const second = await start(sequencer, disks)
    expect(second.log.status()).toMatchObject({ hash, applied: 2 })
    expect(await second.log.propose(command(id, 1))).toEqual(answer)
  })

  it('computes again what an older build saved, and refuses what a newer one saved', async () => {
    const sequencer = new Sequencer()
    const disks = emptyDisks()
    const first = await openNode(sequencer, disks)
    const id = await session(first.log)
    const answer = await first.log.propose(command(id, 1))
    const { hash } = first.log.status()
    await first.log.close()
    const save = async (version: number): Promise<void> => {
      const store = memoryLogStore(disks.log)
      await store.open('n1')
      await store.write([{ op: 'meta', epoch: 0, key: 'log', value: new Uint8Array([version, 0xff, 0xff]) }])
      await store.close()
    }
    await save(1)
    const second = await openNode(sequencer, disks)
    await second.log.read()
    expect(second.log.status().hash).toBe(hash)
    expect(await second.log.propose(command(id, 1))).toEqual(answer)
    await second.log.close()
    await save(99)
    await expect(openNode(sequencer, disks)).rejects.toMatchObject({ code: 'unknown_version' })
  })

  it('refuses to remember more or fewer sessions than the cluster did', async () => {
    const sequencer = new Sequencer()
    const disks = emptyDisks()
    const { log } = await openNode(sequencer, disks)
    await session(log)
    await log.close()
    await expect(openNode(sequencer, disks, { limits: { sessionsMax: 7 } })).rejects.toMatchObject({ code: 'invalid_configuration' })
  })

  it('halts on a command version that it does not know', async () => {
    const { log, failures } = await start(new Sequencer(), emptyDisks())
    const id = await session(log)
    const outcome = await log.propose({ ...command(id, 1), version: 2 })
    expect(outcome).toEqual({ fate: 'unknown', why: 'closed' })
    expect(failures).toHaveLength(1)
    expect(log.status()).toMatchObject({ state: 'stopped', why: 'unknown command version 2' })
    expect(await log.propose(command(id, 2))).toEqual({ fate: 'never', why: 'notServing' })
  })

  it('takes no part with an empty store, and says why', async () => {
    const { log } = await start(new Sequencer(), emptyDisks(), { founded: false })
    expect(log.status().state).toBe('wiped')
    expect(await log.openSession()).toEqual({ fate: 'never', why: 'notServing' })
    await expect(log.read()).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('takes no part with the store of another cluster, and does not touch it', async () => {
    const disks = emptyDisks()
    const { log } = await start(new Sequencer(), disks, { cluster: '00'.repeat(16) })
    expect(log.status()).toMatchObject({ state: 'foreign', why: expect.stringMatching(/belongs to cluster cdcd/) as string })
    await expect(log.read()).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('reads back entries and parts of them', async () => {
    const { log } = await start(new Sequencer(), emptyDisks())
    const id = await session(log)
    const blobs = ['alpha', 'beta', 'gamma'].map((text) => encoder.encode(text))
    await log.propose({ ...command(id, 1), blobs })
    const slots = []
    for await (const { slot, entry, bytes } of log.entries(1)) {
      slots.push(slot)
      if (entry.kind !== 'commands' || entry.commands[0]?.session === 0) continue
      const [, beta] = entry.commands[0]?.blobs ?? []
      if (beta === undefined) throw new Error('the blobs are gone')
      const [slice] = await log.slices([{ slot, offset: beta.byteOffset - bytes.byteOffset, length: beta.length }])
      expect(new TextDecoder().decode(slice)).toBe('beta')
    }
    expect(slots).toEqual([1, 2])
  })
})

describe('a session proposer', () => {
  it('opens its session itself, and another when the log forgot it', async () => {
    const { log } = await start(new Sequencer(), emptyDisks(), { limits: { sessionsMax: 1 } })
    const proposer = new SessionProposer(log)
    const propose = (text: string): Promise<Outcome<number>> =>
      proposer.propose({ version: 1, principal: '', body: encoder.encode(text), blobs: [] })
    expect(await propose('one')).toMatchObject({ fate: 'answered', output: 1 })
    await session(log)
    expect(await propose('two')).toEqual({ fate: 'unknown', why: 'sessionExpired' })
    expect(await propose('three')).toMatchObject({ fate: 'answered', output: 2 })
  })

  it('keeps the floor at what is still open', async () => {
    const { log, machine } = await start(new Sequencer(), emptyDisks())
    const proposer = new SessionProposer(log)
    await Promise.all(
      Array.from({ length: 500 }, (_, at) => proposer.propose({ version: 1, principal: '', body: encoder.encode(`${at}`), blobs: [] })),
    )
    expect(machine.list).toHaveLength(500)
  })
})
