/** Runs of whole clusters with every fault are runs of the specification; and a trace that was doctored is refused, in each way. */
import { majority } from '@synod/consensus'
import { runSeed } from '@synod/simulator'
import { replay, SpecificationError, TraceRecorder, type SpecificationEvent } from '@synod/simulator/specification'
import { describe, expect, it } from 'vitest'

const seeds = 20
type Kind = SpecificationEvent['kind']
type Event<K extends Kind> = Extract<SpecificationEvent, { kind: K }>

/** As simulation.test.ts and `pnpm simulate` do with every seed; here the figures are looked at. */
async function totalsOf(mode: 'basic' | 'multi'): Promise<Record<string, number>> {
  const totals: Record<string, number> = {}
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations, replayed, counts } = await runSeed({ mode, seed })
    expect(violations, `${mode} ${seed}`).toEqual([])
    for (const [name, count] of Object.entries({ ...counts, ...replayed })) totals[name] = (totals[name] ?? 0) + count
  }
  return totals
}

describe.each(['basic', 'multi'] as const)('simulated runs of %s', (mode) => {
  it('are runs of the specification, whatever goes wrong', async () => {
    const totals = await totalsOf(mode)
    const faults = [
      'crash',
      'crashInTurn',
      'pause',
      'wipe',
      'syncsFailed',
      'writesDropped',
      'framesLost',
      'framesDoubled',
      'framesVeryLate',
      'cuts',
    ]
    expect(faults.filter((fault) => totals[fault] === undefined)).toEqual([])
    expect(totals['chosen']).toBeGreaterThan(500)
    expect(totals['steps']).toBeGreaterThan(5_000)
    expect(totals['applied']).toBeGreaterThan(totals['chosen'] ?? Infinity)
    expect(totals['restarts']).toBeGreaterThan(3 * seeds)
    expect(totals['ballots']).toBeGreaterThan(mode === 'basic' ? 500 : seeds)
  }, 60_000)
})

describe.each(['basic', 'multi'] as const)('a doctored trace of %s is refused', async (mode) => {
  const recorder = new TraceRecorder()
  const { plan, replayed } = await runSeed({ mode, seed: 5, recorder })
  const { trace } = recorder
  const quorums = majority(Array.from({ length: plan.nodes }, (_, at) => `n${at + 1}`))

  /** Where the first such event is. */
  function placeOf<K extends Kind>(kind: K, is: (event: Event<K>, at: number) => boolean = () => true): number {
    const at = trace.findIndex((event, place) => event.kind === kind && is(event as Event<K>, place))
    if (at < 0) throw new Error(`this trace has no such ${kind}: take another seed`)
    return at
  }
  function refused(doctored: readonly SpecificationEvent[], why: RegExp): void {
    expect(() => replay(doctored, quorums)).toThrow(SpecificationError)
    expect(() => replay(doctored, quorums)).toThrow(why)
  }
  const at = <K extends Kind>(place: number): Event<K> => trace[place] as Event<K>
  const some = at<'learned'>(placeOf('learned'))
  const proposal = at<'2a'>(placeOf('2a', ({ index, value }) => index === some.index && value === some.value))
  /** A vote without which nothing is chosen there, and nobody says so. */
  const vote = at<'2b'>(placeOf('2b', ({ index, ballot }) => index === some.index && ballot.round === proposal.ballot.round))

  it('and is allowed as it was', () => {
    expect(replay(trace, quorums)).toEqual(replayed)
    expect(replayed?.restarts).toBeGreaterThan(plan.nodes)
  })

  it('another value is learned', () => {
    const place = placeOf('learned')
    refused(trace.with(place, { ...some, value: 'ff' }), /the value was learned and is not chosen/)
  })

  it('it is learned before a quorum has voted', () => {
    const first = placeOf('2b', ({ index }) => index === some.index)
    refused(trace.toSpliced(first + 1, 0, { ...some, node: vote.node }), /the value was learned and is not chosen/)
  })

  it('two values are proposed under one ballot', () => {
    const place = placeOf('2a', (event) => event === proposal)
    refused(trace.toSpliced(place + 1, 0, { ...proposal, value: 'ff' }), /another value was proposed under this ballot/)
  })

  it('a ballot proposes that no quorum promised', () => {
    refused(
      trace.filter(({ kind }) => kind !== '1b' && kind !== 'says1b' && kind !== 'restarts'),
      mode === 'basic' ? /no quorum of 1b allows this value/ : /no quorum of 1b|it has promised nothing/,
    )
  })

  it('a ballot is used for another slot too', () => {
    const place = placeOf('1a', ({ index }) => index > 1)
    const start = at<'1a'>(place)
    refused(trace.toSpliced(place + 1, 0, { ...start, index: start.index - 1 }), /the ballot was used for slot/)
  })

  it('a vote is for another value than the proposal', () => {
    refused(
      trace.map((event) => (event === vote ? { ...vote, value: 'ff' } : event)),
      /that is not the value of the 2a/,
    )
  })

  it('a vote is said that is not on the disk', () => {
    refused(
      trace.filter((event) => event.kind !== '2b' || event.index !== some.index || event.node !== vote.node),
      /says 2b .* its vote is not durable|it does not know the decision|had applied slot|and is not chosen|disk holds something else|says otherwise/,
    )
    const said = placeOf('says2b')
    const { node, index } = at<'says2b'>(said)
    const durable = placeOf('2b', (event) => event.node === node && event.index === index)
    refused(trace.toSpliced(durable, 1), /says 2b .* its vote is not durable/)
  })

  it('a promise is said that is not on the disk', () => {
    const said = placeOf('says1b')
    const { node } = at<'says1b'>(said)
    const durable = trace.findLastIndex((event, place) => place < said && event.kind === '1b' && event.node === node)
    refused(trace.toSpliced(durable, 1), /says 1b .*(its promise is not durable|it has promised)/)
  })

  it('a promise hides a vote', () => {
    const place = placeOf('says1b', ({ report }) => report.votes.length > 0)
    const said = at<'says1b'>(place)
    refused(trace.with(place, { ...said, report: { ...said.report, votes: [] } }), /it voted under .*, and says otherwise/)
  })

  it('a promise tells a slot decided where nothing is', () => {
    const place = placeOf('says1b')
    const said = at<'says1b'>(place)
    refused(
      trace.with(place, { ...said, report: { ...said.report, decidedThrough: 1_000_000 } }),
      /tells decided and where nothing is chosen/,
    )
  })

  it('bug 3, as a property: an acceptor goes back on its promise', () => {
    const place = placeOf('1b', ({ node, ballot }, before) =>
      trace
        .slice(0, before)
        .some(
          (event) => event.kind === '1b' && event.node === node && event.ballot.round < ballot.round && isSameSlot(event, at<'1b'>(before)),
        ),
    )
    const { node } = at<'1b'>(place)
    const old = trace
      .slice(0, place)
      .findLast((event): event is Event<'1b'> => event.kind === '1b' && event.node === node && isSameSlot(event, at<'1b'>(place)))!
    refused(trace.toSpliced(place + 1, 0, { ...old }), /it has promised|says otherwise/)
  })

  it('a disk forgets a vote, or a promise', () => {
    const place = placeOf('restarts', ({ slots }) => slots.some(({ accepted, isDecided }) => accepted !== undefined && !isDecided))
    const restart = at<'restarts'>(place)
    refused(trace.with(place, { ...restart, slots: [] }), /and its disk (holds something else|says nothing)/)
    const promised = { round: 1_000_000, node: 'n1', boot: 1 }
    refused(trace.with(place, { ...restart, promised, slots: restart.slots.map((slot) => ({ ...slot, promised })) }), /and its disk says/)
  })

  it('a machine skips a slot, or applies one that it does not know decided', () => {
    const place = placeOf('applied', ({ index }) => index === 2)
    refused(trace.toSpliced(place, 1), /this is not the next one/)
    const { node, index } = at<'applied'>(place)
    refused(trace.toSpliced(place + 1, 0, { kind: 'applied', node, index: index + 1_000 }), /it does not know that slot decided/)
  })

  it('a node says that slots are decided which are not', () => {
    const place = placeOf('saysDecided')
    refused(trace.with(place, { ...at<'saysDecided'>(place), through: 1_000_000 }), /a slot below where nothing is chosen/)
  })
})

function isSameSlot(left: Event<'1b'>, right: Event<'1b'>): boolean {
  return left.index === right.index
}
