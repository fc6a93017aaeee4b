import { liveWork, type Target } from '@synod/bench'
import { expect, it } from 'vitest'

const plan = {
  rounds: 2,
  roundMilliseconds: 1,
  warmUpMilliseconds: 1,
  loads: [1],
  replayEventsCount: 1,
  liveMilliseconds: 100,
  liveEventsPerSecond: 500,
  memoryMilliseconds: 1,
}
const options = { plan, report: () => {}, signal: new AbortController().signal }

it('appends at the rate it was told and times each event until it arrives', { timeout: 60_000 }, async () => {
  const delays: number[] = []
  const [figures] = await liveWork(
    [targetOf((number, deliver) => void setTimeout(deliver, delays.push(number) % 2 === 0 ? 20 : 5, number))],
    options,
  )
  expect(figures?.rounds).toHaveLength(2)
  for (const round of figures?.rounds ?? []) {
    expect(round.missing).toBe(0)
    expect(round.p50Milliseconds).toBeGreaterThan(4)
    expect(round.p99Milliseconds).toBeGreaterThan(19)
    expect(round.eventsPerSecond).toBeLessThanOrEqual(600)
  }
  expect(new Set(delays).size).toBe(100)
})

it('says how many events never arrived', { timeout: 60_000 }, async () => {
  const oneRound = { ...options, plan: { ...plan, rounds: 1 } }
  const [figures] = await liveWork([targetOf((number, deliver) => void (number % 10 === 0 || deliver(number)))], oneRound)
  expect(figures?.rounds[0]?.missing).toBe(5)
})

function targetOf(publish: (number: number, deliver: (number: number) => void) => void): Target {
  let deliver: (number: number) => void = () => {}
  return {
    key: 'jetstream',
    name: 'none',
    durable: 'nothing',
    client: 'none',
    pids: [],
    prepare: () => Promise.resolve(),
    append: () => Promise.resolve(),
    live: {
      subscriber: 'none',
      subscribe: (onEvent) => Promise.resolve((deliver = onEvent)).then(() => ({ close: () => Promise.resolve() })),
      publish: (number) => Promise.resolve(publish(number, deliver)),
    },
  }
}
