/**
 * The short form of the end-to-end suite on every combination: append, conflict, read, subscribe, kill, catch up. The two transports of
 * a mode take turns on one data folder, because nothing of a transport is stored: a restart with another one is all it takes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { LocalCluster } from '@synod/event-store'
import {
  append,
  appendInBackground,
  appendOnce,
  follow,
  readAll,
  readEverywhere,
  requireAcknowledged,
  type Acknowledged,
} from './client.ts'

const ids = ['n1', 'n2', 'n3']

describe.each(['multi', 'basic'])('%s', (mode) => {
  const acknowledged: Acknowledged[] = []
  let data: string
  let cluster: LocalCluster
  beforeAll(() => {
    data = mkdtempSync(join(tmpdir(), 'synod-matrix-'))
  })
  afterEach(() => cluster?.remove(), 60_000)
  afterAll(() => rmSync(data, { recursive: true, force: true, maxRetries: 5 }))

  test.each(['tcp', 'nats'])('over %s', { timeout: 180_000 }, async (transport) => {
    cluster = new LocalCluster({ data, arguments: ['--transport', transport, '--paxos', mode], environment: { NATS_URL: '' } })
    await cluster.start()
    expect(await cluster.describe()).toMatchObject({ mode, transport: `@synod/transport-${transport}` })
    const stream = (name: string): string => `${transport}-${name}`

    for (const id of ids) {
      const response = await appendOnce(cluster.url(id), stream(id), { from: id })
      expect(response.status).toBe(201)
      const again = await fetch(`${cluster.url('n2')}/streams/${stream(id)}?expected=noStream`, {
        method: 'POST',
        body: '[{"type":"A","data":1}]',
      })
      expect({ status: again.status, body: await again.json() }).toMatchObject({
        status: 409,
        body: { code: 'wrong_expected_revision', actual: 0 },
      })
      for (const reader of ids) {
        const read = (await (await fetch(`${cluster.url(reader)}/streams/${stream(id)}`)).json()) as { events: unknown[] }
        expect(read.events).toEqual([expect.objectContaining({ stream: stream(id), revision: 0, data: { from: id } })])
      }
    }

    const following = follow(
      `${cluster.url('n3')}/streams/${stream('live')}/subscription`,
      (seen) => seen.filter(({ event }) => event === 'event').length === 5,
    )
    for (let n = 0; n < 5; n++) acknowledged.push(await append(cluster, stream('live'), { n }))
    const followed = (await following).filter(({ event }) => event === 'event')
    expect(followed.map(({ data: event }) => event)).toMatchObject(
      [0, 1, 2, 3, 4].map((revision) => ({ stream: stream('live'), revision })),
    )

    const background = appendInBackground(cluster, 4, stream('background'))
    const more = (count: number): Promise<true> => {
      const from = background.acknowledged.length
      return cluster.until('appends to go on', 30_000, () => (background.acknowledged.length >= from + count ? true : undefined))
    }
    await more(20)
    const victim = mode === 'multi' ? await cluster.leader() : 'n1'
    await cluster.kill(victim)
    await more(20)
    await cluster.waitReady([victim])
    await background.stop()
    acknowledged.push(...background.acknowledged)
    requireAcknowledged(await readEverywhere(cluster), acknowledged)
    expect(await readAll(cluster.url(victim), 'linearizable')).toHaveLength((await cluster.node(victim)).position ?? -1)
    expect(await cluster.stop()).toBe(0)
  })
})
