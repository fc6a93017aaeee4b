/** Filters, atomic appends, streams and groups on the command line: tests of `commands.test.ts`, against its node. Most of their time is processes that start. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { jsonLines, type SynodProcess, type SynodResult } from './run-synod.ts'

export interface CommandWorld {
  readonly folder: string
  readonly url: () => string
  readonly synod: (given: readonly string[], input?: string) => Promise<SynodResult>
  readonly started: (given: readonly string[]) => SynodProcess
}

export function testStreamCommands({ folder, url, synod: run, started }: CommandWorld): void {
  const synod = (given: string, input?: string): Promise<SynodResult> => run(given.split(' '), input)
  const post = (stream: string, ...types: string[]): Promise<Response> =>
    fetch(`${url()}/streams/${stream}`, { method: 'POST', body: JSON.stringify(types.map((type, data) => ({ type, data }))) })
  const placesOf = ({ out }: SynodResult): string[] => jsonLines(out).map(({ stream, revision }) => `${String(stream)}@${String(revision)}`)

  test('append to several streams, all or nothing', async () => {
    const transfer = JSON.stringify({
      writes: [
        { stream: 'account-1', expected: 'noStream', events: [{ type: 'Withdrawn', data: 'N', tags: ['transfer:7'] }] },
        {
          stream: 'account-2',
          events: [
            { type: 'Deposited', data: 1 },
            { type: 'Noted', data: null, tags: ['transfer:7', 'x'] },
          ],
        },
      ],
      checks: [{ stream: 'account-3', expected: 'noStream' }],
      condition: { failIfEventsMatch: { items: [{ tags: ['transfer:7'] }] } },
    }).replace('"N"', '12345678901234567890')
    const first = await synod('append-atomically --json', transfer)
    expect(first).toMatchObject({ code: 0, err: '' })
    const streams = [
      { stream: 'account-1', revision: 0 },
      { stream: 'account-2', revision: 1 },
    ]
    expect(JSON.parse(first.out)).toEqual({ position: expect.any(Number) as number, streams })
    expect(await (await fetch(`${url()}/streams/account-1`)).text()).toContain('12345678901234567890')
    const again = await synod('append-atomically --json', transfer)
    expect(again).toMatchObject({ code: 3, out: '' })
    expect(JSON.parse(again.err)).toMatchObject({
      code: 'wrong_expected_revision',
      violations: [
        { kind: 'revision', stream: 'account-1', expected: 'noStream', actual: 0 },
        { kind: 'condition', position: expect.any(Number) as number },
      ],
    })
  })

  test('read and subscribe with filters', async () => {
    expect(placesOf(await synod('read --json --tag transfer:7 --tag x'))).toEqual(['account-2@1'])
    expect(placesOf(await synod('read --json --type Withdrawn --type Deposited --backward'))).toEqual(['account-2@0', 'account-1@0'])
    const local = await synod('read --json --category account --prefix account-2 --at-least 3 --local')
    expect(placesOf(local)).toEqual(['account-2@0', 'account-2@1'])
    const file = join(folder, 'filtered.json')
    const followed = await synod(`subscribe --type Noted --until-caught-up --json --checkpoint-file ${file}`)
    expect(jsonLines(followed.out)).toMatchObject([{ kind: 'event', event: { stream: 'account-2', revision: 1 } }, { kind: 'caughtUp' }])
    const other = await synod(`subscribe --type Other --until-caught-up --checkpoint-file ${file}`)
    expect(other).toMatchObject({ code: 1, err: expect.stringMatching(/is a checkpoint with filter .*"Noted".*not with filter/) as string })
  })

  test('streams: info, metadata, delete', async () => {
    await post('audit', 'Logged', 'Logged', 'Logged')
    expect((await synod('streams info audit')).out).toMatch(/^3 events, revisions 0 to 2\n.*audit@2/)
    const kept = await synod('streams metadata audit --max-count 2 --max-age 86400 --custom {"owner":"ada"}')
    expect(kept.out).toBe('audit is open; version 1: {"maxCount":2,"maxAgeSeconds":86400,"custom":{"owner":"ada"}}\n')
    const metadata = { maxCount: 2, maxAgeSeconds: 86_400, custom: { owner: 'ada' } }
    expect(JSON.parse((await synod('streams metadata audit --json')).out)).toEqual({ stream: 'audit', metadata, version: 1, state: 'open' })
    expect(JSON.parse((await synod('streams info audit --json')).out)).toMatchObject({
      firstRevision: 1,
      lastRevision: 2,
      length: 2,
      lastEvent: { stream: 'audit', revision: 2, data: 2, metadata: null },
    })
    expect(JSON.parse((await synod('streams delete audit --expected 2 --json')).out)).toMatchObject({ state: 'deleted' })
    expect((await post('audit', 'Logged')).status).toBe(201)
    expect((await synod('streams delete audit --hard')).out).toMatch(/^audit is tombstoned; /)
    const gone = await synod('append audit Logged --json')
    expect(gone).toMatchObject({ code: 3, err: expect.stringContaining('"stream_tombstoned"') as string })
  })

  test('groups: create, consume, list, show, parked, replay, delete', async () => {
    expect(await synod('groups show mailer')).toMatchObject({ code: 4, err: expect.stringMatching(/no consumer group "mailer"/) as string })
    const created = await synod('groups create mailer --category account --partitions 4 --ack-deadline 5 --json')
    expect(JSON.parse(created.out)).toMatchObject({
      group: 'mailer',
      definition: { filter: { categories: ['account'] }, partitions: 4, ackDeadlineMs: 5000, attemptsMax: 10 },
    })
    const consumed = await synod('groups consume mailer --consumer me --limit 3 --json')
    expect(consumed).toMatchObject({ code: 0, err: '' })
    const events = jsonLines(consumed.out) as { event: { stream: string }; attempt: number }[]
    expect(events.map(({ event }) => event.stream).toSorted()).toEqual(['account-1', 'account-2', 'account-2'])
    expect(events.every(({ attempt }) => attempt === 1)).toBe(true)
    // What was acknowledged does not come again; what comes does.
    const following = started(['groups', 'consume', 'mailer', '--json'])
    await post('account-9', 'Opened')
    await following.until(({ out }) => out.includes('account-9'))
    following.child.kill('SIGINT')
    expect(await following.ended).toMatchObject({ code: 130 })
    expect(jsonLines(following.out)).toHaveLength(1)
    expect((await synod('groups list')).out).toMatch(/^mailer {2}generation \d+ {2}\d consumers? {2}settled \d+ {2}lag \d+ {2}parked 0/)
    expect((await synod('groups show mailer')).out).toMatch(/^mailer {2}/)
    expect(await synod('groups parked mailer')).toEqual({ code: 0, out: '', err: '' })
    expect((await synod('groups replay mailer')).out).toBe('0 parked events will be delivered again\n')
    expect((await synod('groups delete mailer')).out).toBe('deleted mailer\n')
  })
}
