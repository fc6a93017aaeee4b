/**
 * 64 clients race for one boundary over three real nodes: a user name that must be unique, the last seat of a course. Exactly one
 * of them wins, in every round; the leader is killed (kill -9) in the middle of some. In the suite a few rounds; the whole, with figures:
 *   SYNOD_RACE_ROUNDS=200 npx -y pnpm@12 test apps/event-store/test/e2e/boundary-race.test.ts
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { readEverywhere } from './client.ts'

const rounds = Number(process.env.SYNOD_RACE_ROUNDS ?? 12)
const clients = 64
/** The leader is killed in every so manieth round. */
const killEvery = 10
const roundMsMax = 30_000

interface Racer {
  readonly won: boolean
  readonly tries: number
}

test(`64 clients, ${rounds} boundaries: one winner each`, { timeout: 120_000 + rounds * 10_000 }, async () => {
  await using cluster = await startCluster()
  const begun = performance.now()
  const tries: number[] = []
  let kills = 0
  for (let round = 1; round <= rounds; round++) {
    const race = round % 2 === 0 ? raceForSeat : raceForName
    const racing = race(cluster, round)
    let killed: string | undefined
    if (round % killEvery === 0) {
      killed = await cluster.leader()
      await cluster.kill(killed)
      kills++
    }
    const racers = await racing
    expect(racers.filter(({ won }) => won).length, `winners of round ${round}`).toBe(1)
    tries.push(...racers.map((racer) => racer.tries))
    if (killed !== undefined) await cluster.waitReady([killed])
  }
  const events = await readEverywhere(cluster)
  const names = events.filter(({ type }) => type === 'UserRegistered')
  const seats = events.filter(({ type }) => type === 'SeatTaken')
  expect(names.map(({ data }) => (data as { round: number }).round)).toEqual(odd(rounds))
  expect(seats.map(({ data }) => (data as { round: number }).round)).toEqual(even(rounds).flatMap((round) => [round, round]))
  if (process.env.SYNOD_RACE_ROUNDS !== undefined)
    console.log(
      JSON.stringify({
        rounds,
        clients,
        kills,
        tries: tries.length,
        more: tries.filter((count) => count > 1).length,
        seconds: Math.round((performance.now() - begun) / 1000),
      }),
    )
})

/** Each registers the name for a stream of its own, on the condition that nobody has it. */
async function raceForName(cluster: LocalCluster, round: number): Promise<Racer[]> {
  return Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const condition = { failIfEventsMatch: { items: [{ types: ['UserRegistered'], tags: [`name:${round}`] }] } }
      const { status, tries } = await appendUntilKnown(cluster, client, {
        writes: [{ stream: `user-${round}-${client}`, expected: 'noStream', events: [registered(round, client)] }],
        condition,
      })
      return { won: status === 201, tries }
    }),
  )
}

/** Two seats, of which one is taken: each looks at what is taken, and takes one if there is one, on the condition that nothing changed. */
async function raceForSeat(cluster: LocalCluster, round: number): Promise<Racer[]> {
  const items = [{ types: ['SeatTaken'], tags: [`course:${round}`] }]
  const opened = await appendUntilKnown(cluster, 0, { writes: [{ stream: `course-${round}`, events: [seat(round, -1)] }] })
  expect(opened.status).toBe(201)
  return Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let tries = 1, deadline = performance.now() + roundMsMax; ;) {
        const { taken, position } = await look(cluster, client, round, deadline)
        if (taken >= 2) return { won: false, tries }
        const answer = await appendUntilKnown(cluster, client, {
          writes: [{ stream: `course-${round}`, events: [seat(round, client)] }],
          condition: { failIfEventsMatch: { items }, after: position },
        })
        tries += answer.tries
        if (answer.status === 201) return { won: true, tries }
      }
    }),
  )
}

/** The seats taken, and the position up to which that is so. */
async function look(
  cluster: LocalCluster,
  client: number,
  round: number,
  deadline: number,
): Promise<{ readonly taken: number; readonly position: number }> {
  for (let attempt = client; ; attempt++) {
    try {
      const response = await fetch(
        `${urlAt(cluster, attempt)}/events?types=SeatTaken&tags=${encodeURIComponent(`course:${round}`)}&limit=10`,
        {
          signal: AbortSignal.timeout(10_000),
        },
      )
      const { events = [] } = (await response.json()) as { events?: { position: number }[] }
      if (response.status === 200) return { taken: events.length, position: events.at(-1)?.position ?? 0 }
    } catch {
      // the node died while it was asked, or is not there
    }
    if (performance.now() > deadline) throw new Error(`no node answered a read in ${roundMsMax} ms`)
    await sleep(20)
  }
}

/** The same request, at one node after the other, until one says what came of it: 201 or 409. */
async function appendUntilKnown(
  cluster: LocalCluster,
  client: number,
  request: unknown,
): Promise<{ readonly status: number; readonly tries: number }> {
  const body = JSON.stringify(request)
  const deadline = performance.now() + roundMsMax
  let last = ''
  for (let tries = 1; performance.now() < deadline; tries++) {
    try {
      const response = await fetch(`${urlAt(cluster, client + tries - 1)}/append`, {
        method: 'POST',
        body,
        signal: AbortSignal.timeout(10_000),
      })
      const answer = (await response.json()) as { code?: string }
      if (response.status === 201) return { status: 201, tries }
      if (response.status === 409 && answer.code === 'condition_failed') return { status: 409, tries }
      last = `${response.status} ${JSON.stringify(answer)}`
      if (response.status !== 503) break
    } catch (error) {
      last = String(error) // the node died while it was asked, or is not there
    }
    await sleep(20)
  }
  throw new Error(`an append got no answer: ${last}`)
}

function urlAt(cluster: LocalCluster, at: number): string {
  return cluster.urls[at % cluster.urls.length] ?? ''
}

function registered(round: number, client: number): unknown {
  return { id: randomUUID(), type: 'UserRegistered', data: { round, client }, tags: [`name:${round}`] }
}

function seat(round: number, client: number): unknown {
  return { id: randomUUID(), type: 'SeatTaken', data: { round, client }, tags: [`course:${round}`, `student:${round}-${client}`] }
}

function odd(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1).filter((round) => round % 2 === 1)
}

function even(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1).filter((round) => round % 2 === 0)
}
