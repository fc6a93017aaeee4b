import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { jsonLines, main, runSynod, SynodProcess, type SynodResult } from './run-synod.ts'
import { testStreamCommands } from './stream-commands.ts'

describe('the command line and a cluster', { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'synod-commands-'))
  let cluster: LocalCluster
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 })
  }, 120_000)
  afterAll(async () => {
    await cluster?.remove()
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)

  const synod = (given: readonly string[], input = ''): Promise<SynodResult> => runSynod(given, cluster.urls, input)
  const started = (given: readonly string[]): SynodProcess => new SynodProcess(given, { SYNOD_NODES: cluster.urls.join(' ') })

  test('append and read, for people and for programs', async () => {
    const id = '6f1c2f0e-6c3f-4a52-9a53-0d6b7d1f7a11'
    const more = ['--metadata', '{"by":"ada"}', '--tag', 'x', '--tag', 'y z', '--id', id]
    const first = await synod(['append', 'orders', 'Placed', '{"total":12345678901234567890}', ...more, '--expected', 'noStream'])
    expect(first).toMatchObject({ code: 0, out: 'appended at revision 0, position 1\n', err: '' })
    const second = await synod(['append', 'orders', 'Paid', '-', '--json', '--expected', '0'], '{"by":"card"}')
    expect(second).toMatchObject({ code: 0, out: '{"stream":"orders","revision":1,"position":2}\n' })
    // Numbers are stored as they were written.
    const page = await (await fetch(`${cluster.urls[0]}/streams/orders`)).text()
    expect(page).toContain('"data":{"total":12345678901234567890}')

    const read = await synod(['read', 'orders', '--json', '--backward'])
    const [paid, placed] = jsonLines(read.out)
    expect(paid).toMatchObject({ stream: 'orders', revision: 1, position: 2, type: 'Paid', data: { by: 'card' }, metadata: null, tags: [] })
    expect(placed).toMatchObject({ id, metadata: { by: 'ada' }, tags: ['x', 'y z'], recordedAt: expect.stringMatching(/^\d{4}-.*Z$/) })
    const text = await synod(['read', '--from', '2', '--limit', '1', '--local'])
    expect(text.out).toMatch(/^\S+ \S+Z +2 {2}orders@1 +Paid +\{"by":"card"\}\n$/)
  })

  test('what is read is the text that is stored, an event a line', async () => {
    const data = '{"b": 12345678901234567890.10,\r\n"1": "\\ud800", "b": 1e400}'
    const body = `[{"type": "T", "data": ${data}, "metadata": [9007199254740993]}]`
    expect((await fetch(`${cluster.urls[0]}/streams/exact`, { method: 'POST', body })).status).toBe(201)
    const stored = '"data":{"b": 12345678901234567890.10,  "1": "\\ud800", "b": 1e400},"metadata":[9007199254740993],"tags":[]'
    const read = await synod(['read', 'exact', '--json'])
    expect(read.out).toContain(stored)
    expect(await (await fetch(`${cluster.urls[0]}/streams/exact`)).text()).toBe(`{"events":[${read.out.trimEnd()}]}`)
    expect(jsonLines(read.out)).toHaveLength(1)
    const subscribed = await synod(['subscribe', 'exact', '--json', '--until-caught-up'])
    expect(subscribed.out).toContain(stored)
    expect(jsonLines(subscribed.out)).toMatchObject([{ kind: 'event', event: { stream: 'exact', revision: 0 } }, { kind: 'caughtUp' }])
    expect((await synod(['read', 'exact'])).out).toContain('12345678901234567890.10')
    // And through a pipe into another stream.
    const copy = read.out.replace('"exact"', '"copy"').replace(/"id":"[^"]*",/, '')
    expect(await synod(['append'], copy)).toMatchObject({ code: 0 })
    expect((await synod(['read', 'copy', '--json'])).out).toContain('[9007199254740993]')
  })

  test('what could move the cursor of a terminal is printed as an escape', async () => {
    await synod(['append', 'evil\u001b[2J', 'T', '"\\u001b[31m\u202e"'])
    const { out } = await synod(['read', 'evil\u001b[2J'])
    expect(out).toContain('evil\\u001b[2J@0')
    expect(out).toContain('"\\u001b[31m\\u202e"')
  })

  test('each kind of failure has its exit code', async () => {
    const conflict = await synod(['append', 'orders', 'Placed', '--expected', 'noStream', '--json'])
    expect(conflict).toMatchObject({ code: 3, out: '' })
    expect(JSON.parse(conflict.err)).toMatchObject({
      kind: 'error',
      code: 'wrong_expected_revision',
      stream: 'orders',
      expected: 'noStream',
      actual: 1,
      exitCode: 3,
    })
    expect(await synod(['read', 'nothing'])).toMatchObject({ code: 4, out: '', err: expect.stringMatching(/there is no stream "nothing"/) })
    const large = await synod(['append', 'large', 'T', '-'], JSON.stringify('x'.repeat(1_100_000)))
    expect(large).toMatchObject({ code: 1, err: expect.stringMatching(/error: .*1048576|1 MiB/) })
  })

  test('a reader that leaves early is no failure', async () => {
    const lines = Array.from({ length: 3000 }, (_, n) => JSON.stringify({ stream: 'many', type: 'T', data: { n, text: 'x'.repeat(200) } }))
    expect(await synod(['append'], lines.join('\n'))).toMatchObject({ code: 0 })
    const piped = '"$0" "$1" read many | head -n 2; echo "codes ${PIPESTATUS[*]}"'
    const env = { ...process.env, SYNOD_NODES: cluster.urls.join(',') }
    const { stdout, stderr } = spawnSync('bash', ['-c', piped, process.execPath, main], { env, encoding: 'utf8' })
    expect(stdout.split('\n').slice(2)).toEqual(['codes 0 0', ''])
    expect(stderr).toBe('')
  })

  test('subscribe follows until Ctrl-C', async () => {
    const subscribed = started(['subscribe', 'live', '--json'])
    await subscribed.until(({ out }) => out.includes('caughtUp'))
    await synod(['append', 'live', 'T', '1'])
    await subscribed.until(({ out }) => out.includes('"revision":0'))
    subscribed.child.kill('SIGINT')
    const { code, out, err } = await subscribed.ended
    expect({ code, err }).toEqual({ code: 130, err: '' })
    const events = jsonLines(out).filter(({ kind }) => kind === 'event')
    expect(events).toMatchObject([{ event: { stream: 'live', revision: 0, type: 'T', data: 1 } }])
  })

  test('a checkpoint is resumed after, and is of one stream and cluster', async () => {
    const file = join(folder, 'position.json')
    const once = ['subscribe', 'kept', '--until-caught-up', '--checkpoint-file', file]
    for (const n of [1, 2]) await synod(['append', 'kept', 'T', String(n)])
    const first = await synod(once)
    expect(first).toMatchObject({ code: 0, err: expect.stringMatching(/caught up at position/) })
    expect(first.out.match(/kept@\d/g)).toEqual(['kept@0', 'kept@1'])
    await synod(['append', 'kept', 'T', '3'])
    expect((await synod(once)).out.match(/kept@\d/g)).toEqual(['kept@2'])
    expect((await synod(once)).out).toBe('')
    expect(readdirSync(folder)).toEqual(['position.json'])

    // While events come it is saved too, so that kill -9 costs a second of them at most.
    await synod(['append', 'kept', 'T', '4'])
    const killed = started(['subscribe', 'kept', '--checkpoint-file', file])
    await killed.until(({ out }) => out.includes('kept@3'))
    const { position } = jsonLines((await synod(['read', 'kept', '--backward', '--limit', '1', '--json'])).out)[0] as { position: number }
    await cluster.until('the checkpoint', 10_000, () =>
      (JSON.parse(readFileSync(file, 'utf8')) as { position: number }).position >= position ? true : undefined,
    )
    killed.child.kill('SIGKILL')
    await killed.ended
    expect((await synod(once)).out).toBe('')

    const other = await synod(['subscribe', 'orders', '--until-caught-up', '--checkpoint-file', file])
    expect(other).toMatchObject({ code: 1, err: expect.stringMatching(/is a checkpoint of stream "kept", not of stream "orders"/) })
    writeFileSync(file, JSON.stringify({ cluster: 'another', stream: 'kept', position: 1 }))
    expect(await synod(once)).toMatchObject({ code: 1, err: expect.stringMatching(/is a checkpoint in cluster another/) })
    writeFileSync(file, 'something else')
    expect(await synod(once)).toMatchObject({ code: 1, err: expect.stringMatching(/is no checkpoint/) })
  })

  test('status, once', async () => {
    const { code, out } = await synod(['status', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      leader: 'n1',
      protocol: '@synod/consensus-paxos',
      nodes: [{ id: 'n1', role: 'leader', state: 'serving', pid: expect.any(Number), lag: 0, appendsPerSecond: 0 }],
    })
    const table = await synod(['status'])
    expect(table.out).toMatch(/\nnode +role +state +pid +decided +applied +lag +position +appends\/s +url\nn1 +leader +serving +\d+ /)
  })

  test('status, look after look, until Ctrl-C', async () => {
    const looking = started(['status', '--json', '--interval', '0.2'])
    await looking.until(({ out }) => out.split('\n').length > 3)
    looking.child.kill('SIGINT')
    const { code, out } = await looking.ended
    expect(code).toBe(130)
    expect(jsonLines(out)[2]).toMatchObject({ leader: 'n1', nodes: [{ appendsPerSecond: 0 }] })
  })

  // `script` (util-linux) gives a process a terminal.
  test('at a terminal: a bar for lines, a live table, colours unless NO_COLOR', async () => {
    const file = join(folder, 'lines.jsonl')
    writeFileSync(file, '{"stream":"bar","type":"T","data":1}\n'.repeat(100))
    const atTerminal = (given: string, environment: NodeJS.ProcessEnv = {}): string => {
      const command = `${process.execPath} ${main} ${given}`
      const env = { ...process.env, SYNOD_NODES: cluster.urls.join(','), TERM: 'xterm', CI: undefined, ...environment }
      return spawnSync('script', ['-qec', command, '/dev/null'], { env, encoding: 'utf8', timeout: 20_000 }).stdout
    }
    const bar = atTerminal(`append --from-file ${file}`)
    expect(bar).toMatch(/100 %.*100 lines appended/)
    expect(bar).toMatch(/appended 100 events/)
    expect(atTerminal(`append --json --source again --from-file ${file}`)).not.toContain('%')
    const colours = '\u001b[36m'
    expect(atTerminal('read bar --limit 1', { NO_COLOR: undefined, FORCE_COLOR: undefined })).toContain(colours)
    expect(atTerminal('read bar --limit 1', { NO_COLOR: '1', FORCE_COLOR: undefined })).not.toContain(colours)
    const live = `bash -c '(sleep 3; kill -INT $$) & exec ${process.execPath} ${main} status --interval 0.5'`
    const env = { ...process.env, SYNOD_NODES: cluster.urls.join(','), TERM: 'xterm' }
    const table = spawnSync('script', ['-qec', live, '/dev/null'], { env, encoding: 'utf8', timeout: 20_000 })
    expect(table.stdout.match(/n1 +\S*leader/g)?.length).toBeGreaterThan(1)
    expect(table.stdout).toContain('\u001b[J')
    expect(table.status).toBe(130)
  })

  testStreamCommands({ folder, url: () => cluster.url('n1'), synod, started })
})
