/** The session table through the log's own door: what it remembers decides what is executed. */
import { encodeEntry, type Envelope } from '@synod/log'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyDisks, openNode } from './support/open-node.ts'
import { Sequencer } from './support/sequencer.ts'

const proposal = fc.record({
  session: fc.integer({ min: 1, max: 5 }),
  sequence: fc.integer({ min: 1, max: 6 }),
  floor: fc.integer({ min: 1, max: 4 }),
})

describe('sessions', () => {
  it('never execute one identity twice, and every node decides alike, restarted or not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(proposal, { minLength: 30, maxLength: 60 }), fc.nat(60), async (proposals, restartAt) => {
        const limits = { sessionsMax: 3, sessionAnswersMax: 2, answersMax: 5, saveSlotsMax: 4 }
        const sequencer = new Sequencer()
        for (let opening = 1; opening <= 4; opening++) sequencer.decide(slotOf({ session: 0, sequence: 1, floor: 1 }, `open ${opening}`))
        for (const one of proposals) sequencer.decide(slotOf(one, `${one.session}/${one.sequence}`))
        const whole = await openNode(sequencer, emptyDisks(), { limits })
        await whole.log.read()

        const disks = emptyDisks()
        const cut = new Sequencer()
        for (const entry of sequencer.entries.slice(0, restartAt)) cut.decide(entry)
        const first = await openNode(cut, disks, { limits })
        await first.log.read()
        await first.log.close()
        for (const entry of sequencer.entries.slice(restartAt)) cut.decide(entry)
        const second = await openNode(cut, disks, { limits })
        await second.log.read()

        expect(new Set(whole.machine.list).size).toBe(whole.machine.list.length)
        expect(second.machine.list).toEqual(whole.machine.list)
        expect(second.log.status().hash).toBe(whole.log.status().hash)
        expect([...whole.failures, ...second.failures]).toEqual([])
        await whole.log.close()
        await second.log.close()
      }),
      { numRuns: 300 },
    )
  })
})

describe('the floor of a session', () => {
  // basic 18323 of the simulator: what stood below the floor behind a later sequence was forgotten at times and at times not.
  it('is the floor of everything: below it nothing is known any more, in whatever order it was executed', async () => {
    const sequencer = new Sequencer()
    sequencer.decide(slotOf({ session: 0, sequence: 1, floor: 1 }, 'open'))
    for (const sequence of [3, 1, 4]) sequencer.decide(slotOf({ session: 1, sequence, floor: 1 }, `${sequence}`))
    const { log, machine, failures } = await openNode(sequencer, emptyDisks(), { limits: { sessionAnswersMax: 2 } })
    await log.read()
    // The answer to 3 had to go, and with it all below.
    for (const sequence of [1, 2, 3])
      expect(await log.propose(commandOf({ session: 1, sequence, floor: 1 }, 'again'))).toMatchObject({ why: 'sessionExpired' })
    expect(await log.propose(commandOf({ session: 1, sequence: 4, floor: 1 }, 'again'))).toMatchObject({ fate: 'answered', output: 3 })
    expect(machine.list).toHaveLength(3)
    expect(failures).toEqual([])
    await log.close()
  })
})

describe('a session table that takes many steps to save', () => {
  it('is saved while nothing is applied, and answers what it answered', { timeout: 60_000 }, async () => {
    const limits = { saveSlotsMax: 3 }
    const sequencer = new Sequencer()
    const answers = 20_000
    sequencer.decide(slotOf({ session: 0, sequence: 1, floor: 1 }, 'open'))
    for (let sequence = 1; sequence <= answers; sequence += 1000) {
      const commands = Array.from({ length: 1000 }, (_, at) =>
        commandOf({ session: 1, sequence: sequence + at, floor: 1 }, `${sequence + at}`),
      )
      sequencer.decide(encodeEntry({ kind: 'commands', commands }))
    }
    const disks = emptyDisks()
    const first = await openNode(sequencer, disks, { limits })
    await first.log.read()
    const { hash } = first.log.status()
    await first.log.close()
    const second = await openNode(sequencer, disks, { limits })
    expect(second.log.status()).toMatchObject({ hash, applied: sequencer.entries.length })
    for (const sequence of [1, 2048, 2049, answers])
      expect(await second.log.propose(commandOf({ session: 1, sequence, floor: 1 }, 'again'))).toMatchObject({
        fate: 'answered',
        output: sequence,
      })
    expect(second.machine.list).toHaveLength(answers)
    expect([...first.failures, ...second.failures]).toEqual([])
    await second.log.close()
  })
})

type Identity = Pick<Envelope, 'session' | 'sequence' | 'floor'>

function slotOf(identity: Identity, body: string): Uint8Array {
  return encodeEntry({ kind: 'commands', commands: [commandOf(identity, body)] })
}

function commandOf({ session, sequence, floor }: Identity, body: string): Envelope {
  return { version: 1, session, sequence, floor, principal: '', body: new TextEncoder().encode(body), blobs: [] }
}
