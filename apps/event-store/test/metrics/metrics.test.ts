/** What a node counts, over HTTP, against what was done to it: its log and read side on a real Postgres. */
import { testDatabase } from '@synod/servers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { inMemory, openNode, type OneNode } from './one-node.ts'
import { valueOf, type Family } from './prometheus-text.ts'

let node: OneNode
beforeAll(async () => {
  const options = { connectionString: (await testDatabase()).connectionString }
  node = await openNode({
    ...inMemory('unused'),
    store: { package: '@synod/log-postgres', options },
    readSide: { package: '@synod/events-postgres', options },
  })
  await vi.waitFor(async () => expect((await fetch(`${node.url}/health/ready`)).status).toBe(200), 20_000)
  // The node's session is opened by its first command: from here on a command is an append.
  await append('first')
})
afterAll(() => node?.[Symbol.asyncDispose]())

function append(stream: string, query = '', body = '[{"type":"A","data":1}]'): Promise<Response> {
  return fetch(`${node.url}/streams/${stream}${query}`, { method: 'POST', body })
}

async function grown(samples: readonly string[], act: () => Promise<unknown>): Promise<Record<string, number>> {
  const [before, , after] = [await node.scrape(), await act(), await node.scrape()]
  const of = (families: ReadonlyMap<string, Family>, sample: string): number => valueOf(families, sample) ?? 0
  return Object.fromEntries(samples.map((sample) => [sample, of(after, sample) - of(before, sample)]))
}

describe('GET /metrics', () => {
  test('is text in version 0.0.4, and HEAD is it without the body', async () => {
    const response = await fetch(`${node.url}/metrics`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await response.text()).toMatch(/^# HELP synod_/)
    expect((await fetch(`${node.url}/metrics`, { method: 'HEAD' })).status).toBe(200)
  })

  test('counts appends by outcome, in seconds', async () => {
    const samples = ['appended', 'wrong_expected_revision', 'too_large'].map(
      (outcome) => `synod_append_seconds_count{outcome="${outcome}"}`,
    )
    const counted = await grown(
      [...samples, 'synod_refused_total{code="wrong_expected_revision"}', 'synod_commands_proposed_total'],
      async () => {
        for (let n = 0; n < 5; n++) await append('counted')
        await append('counted', '?expected=noStream')
        await append('counted', '?expected=7')
        await append('counted', '', JSON.stringify([{ type: 'A', data: 'x'.repeat(1_048_600) }]))
      },
    )
    expect(counted).toEqual({
      [samples[0] ?? '']: 5,
      [samples[1] ?? '']: 2,
      [samples[2] ?? '']: 1,
      'synod_refused_total{code="wrong_expected_revision"}': 2,
      // What is too large never became a command.
      synod_commands_proposed_total: 7,
    })
    const families = await node.scrape()
    const seconds = valueOf(families, 'synod_append_seconds_sum{outcome="appended"}') ?? 0
    expect(seconds).toBeGreaterThan(0)
    expect(seconds).toBeLessThan(60)
  })

  test('counts reads, batches, commits, answers', async () => {
    const one = '[{"type":"A","data":1}]'
    const counted = await grown(
      [
        'synod_read_seconds_count{what="stream",consistency="linearizable",outcome="ok"}',
        'synod_read_seconds_count{what="all",consistency="local",outcome="ok"}',
        'synod_read_seconds_count{what="stream",consistency="linearizable",outcome="stream_not_found"}',
        'synod_reads_total',
        'synod_position',
        'synod_streams',
        'synod_batch_commands_sum',
        'synod_http_answers_total{method="GET",route="/events",status="200"}',
        'synod_http_answers_total{method="POST",route="/streams/:stream",status="201"}',
      ],
      async () => {
        await Promise.all(Array.from({ length: 64 }, (_, n) => append(`batch-${n}`, '', one)))
        await fetch(`${node.url}/streams/batch-1`)
        await fetch(`${node.url}/streams/nothing-there`)
        await fetch(`${node.url}/events?consistency=local`)
      },
    )
    expect(Object.values(counted)).toEqual([1, 1, 1, 2, 64, 64, 64, 1, 64])
    let families = await node.scrape()
    const count = (name: string): number => valueOf(families, `${name}_count`) ?? 0
    const sum = (name: string): number => valueOf(families, `${name}_sum`) ?? 0
    // Appends share a batch when they arrive in one turn of the event loop, which is for the machine to say: until some do.
    for (let round = 0; round < 50 && count('synod_batch_commands') === sum('synod_batch_commands'); round++) {
      await Promise.all(Array.from({ length: 64 }, (_, n) => append(`batch-${n}`, '', one)))
      families = await node.scrape()
    }
    expect(count('synod_batch_commands')).toBeLessThan(sum('synod_batch_commands'))
    expect(sum('synod_batch_bytes')).toBeGreaterThan(64 * one.length)
    expect(count('synod_store_commit_seconds')).toBeGreaterThan(5)
    expect(sum('synod_store_commit_seconds') / count('synod_store_commit_seconds')).toBeLessThan(5)
    expect(valueOf(families, 'synod_store_written_bytes_total')).toBeGreaterThan(64 * one.length)
    expect(valueOf(families, 'synod_store_bytes')).toBeGreaterThan(0)
  })

  test('counts appends with a condition by outcome, and those without one not among them', async () => {
    const sample = (outcome: string): string => `synod_conditional_appends_total{outcome="${outcome}"}`
    const claim = (tag?: string): Promise<Response> => {
      const condition = tag === undefined ? undefined : { failIfEventsMatch: { items: [{ tags: [tag] }] } }
      const writes = [{ stream: 'claims', events: [{ type: 'A', data: 1, tags: [tag ?? 'none'] }] }]
      return fetch(`${node.url}/append`, { method: 'POST', body: JSON.stringify({ writes, condition }) })
    }
    const appended = 'synod_append_seconds_count{outcome="appended"}'
    const counted = await grown([sample('appended'), sample('condition_failed'), appended], async () => {
      for (const tag of ['ada', 'grace', 'ada', 'ada', undefined]) await claim(tag)
    })
    expect(counted).toEqual({ [sample('appended')]: 2, [sample('condition_failed')]: 2, [appended]: 3 })
  })

  test('shows the first hundred consumer groups by name, and how many there are', async () => {
    const put = (group: string, definition: object): Promise<Response> =>
      fetch(`${node.url}/groups/${group}`, { method: 'PUT', body: JSON.stringify(definition) })
    await Promise.all(
      Array.from({ length: 101 }, (_, at) => put(`g${String(at).padStart(3, '0')}`, { partitions: 1, from: at === 0 ? 0 : 'end' })),
    )
    const families = await node.scrape()
    expect(valueOf(families, 'synod_groups')).toBe(101)
    const shown = [...(families.get('synod_group_lag_events')?.samples ?? [])]
    expect(shown).toHaveLength(100)
    expect(shown.at(-1)).toEqual(['synod_group_lag_events{group="g099"}', 0])
    expect(shown[0]).toEqual(['synod_group_lag_events{group="g000"}', valueOf(families, 'synod_position')])
    expect(valueOf(families, 'synod_group_parked_events{group="g000"}')).toBe(0)
    expect(valueOf(families, 'synod_group_consumers{group="g000"}')).toBe(0)
  })

  test('shows the state, the log, and everything bounded beside its bound', async () => {
    const families = await node.scrape()
    const of = (sample: string): number | undefined => valueOf(families, sample)
    expect(
      of(
        'synod_info{node="n1",cluster="cccccccccccccccccccccccccccccccc",protocol="@synod/consensus-paxos",mode="multi",transport="' +
          inMemory('').transport.package +
          '"}',
      ),
    ).toBe(1)
    expect({
      serving: of('synod_state{state="serving"}'),
      wiped: of('synod_state{state="wiped"}'),
      leader: of('synod_role{role="leader"}'),
    }).toEqual({ serving: 1, wiped: 0, leader: 1 })
    expect(of('synod_applied_slot')).toBe(of('synod_decided_slot'))
    expect(of('synod_slots_behind')).toBe(0)
    expect(of('synod_sessions')).toBe(1)
    expect(of('synod_elections_total')).toBeGreaterThanOrEqual(1)
    for (const unit of ['items', 'bytes']) {
      const now = [...(families.get(`synod_held_${unit}`)?.samples ?? [])].map(
        ([sample, value]) => [sample.replace(/^\w+/, ''), value] as const,
      )
      const max = new Map(
        [...(families.get(`synod_held_${unit}_max`)?.samples ?? [])].map(([sample, value]) => [sample.replace(/^\w+/, ''), value]),
      )
      expect(now.map(([what]) => what)).toEqual([...max.keys()])
      expect(now).toHaveLength(unit === 'items' ? 8 : 6)
      for (const [what, value] of now) expect({ what, fits: value >= 0 && value < (max.get(what) ?? 0) }).toEqual({ what, fits: true })
    }
  })

  test('a subscription shows while it is open, and the read side catches up', async () => {
    const controller = new AbortController()
    await fetch(`${node.url}/events/subscription`, { signal: controller.signal })
    await vi.waitFor(async () => expect(valueOf(await node.scrape(), 'synod_subscriptions')).toBe(1), 5000)
    controller.abort()
    await vi.waitFor(async () => expect(valueOf(await node.scrape(), 'synod_subscriptions')).toBe(0), 5000)
    await vi.waitFor(async () => expect(valueOf(await node.scrape(), 'synod_read_side_lag_events')).toBe(0), 5000)
    const families = await node.scrape()
    expect(valueOf(families, 'synod_read_side_flushed_events_total')).toBe(valueOf(families, 'synod_position'))
  })

  test('what has no name of its own is shown as the package calls it, and nothing twice', async () => {
    const shown = [...((await node.scrape()).get('synod_package_number')?.samples.keys() ?? [])]
    expect(shown).toContain('synod_package_number{package="store",name="transactions"}')
    expect(shown).not.toContain('synod_package_number{package="store",name="writes"}')
    expect(shown).not.toContain('synod_package_number{package="log",name="elections"}')
  })

  test('an unknown query parameter is refused as everywhere', async () => {
    expect((await fetch(`${node.url}/metrics?x=1`)).status).toBe(400)
  })
})
