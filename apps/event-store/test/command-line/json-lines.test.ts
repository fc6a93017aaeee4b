import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '@synod/client'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { jsonLines, runSynod, SynodProcess, type SynodResult } from './run-synod.ts'

describe('JSON lines', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'synod-lines-'))
  let cluster: LocalCluster
  beforeAll(async () => {
    cluster = await startCluster()
  }, 120_000)
  afterAll(async () => {
    await cluster?.remove()
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)

  const synod = (given: readonly string[], input = ''): Promise<SynodResult> => runSynod(given, cluster.urls, input)

  /** Lines over so many streams by turns, numbered in their data. */
  function linesOf(name: string, count: number, streams: number): string[] {
    return Array.from(
      { length: count },
      (_, n) => `${JSON.stringify({ stream: `${name}-${n % streams}`, type: 'Numbered', data: { n } })}\n`,
    )
  }

  /** Every line stands once, in order in its stream. */
  async function requireOnceInOrder(name: string, count: number, streams: number): Promise<void> {
    await using client = connect<{ type: 'Numbered'; data: { n: number } }>({ nodes: cluster.urls })
    for (let stream = 0; stream < streams; stream++) {
      const found: number[] = []
      for await (const { data } of client.readStream(`${name}-${stream}`)) found.push(data.n)
      const expected = Array.from({ length: Math.ceil((count - stream) / streams) }, (_, index) => stream + index * streams)
      expect(found).toEqual(expected)
    }
  }

  test('20,000 lines while the leader is killed: each once, in order in its stream; and again: nothing', async () => {
    const lines = linesOf('kill', 20_000, 37)
    const run = new SynodProcess(['append', '--json', '--source', 'kill'], { SYNOD_NODES: cluster.urls.join(',') })
    run.child.stdin.write(lines.slice(0, 10_000).join(''))
    await run.until(({ out }) => out.split('"kind":"appended"').length > 100)
    // What is under way now loses its leader; the second half comes while there is none.
    const killed = cluster.kill(await cluster.leader())
    run.child.stdin.end(lines.slice(10_000).join(''))
    await killed
    const { code, out, err } = await run.ended
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const told = jsonLines(out)
    expect(told.at(-1)).toMatchObject({ kind: 'summary', failed: 0, inDoubt: 0, doneLines: [[1, 20_000]], source: 'kill', exitCode: 0 })
    const numbers = told.filter(({ kind }) => kind === 'appended').flatMap((line) => line.lines as number[])
    expect(new Set(numbers).size).toBe(20_000)
    expect(numbers).toHaveLength(20_000)
    await requireOnceInOrder('kill', 20_000, 37)

    const again = await synod(['append', '--source', 'kill'], lines.join(''))
    expect(again).toMatchObject({ code: 0, out: expect.stringMatching(/^appended 0 events in .*; 20000 stood there before\n$/) })
    await requireOnceInOrder('kill', 20_000, 37)
  })

  test('Ctrl-C, kill -9, then to the end: each once, in order', async () => {
    const file = join(folder, 'cut.jsonl')
    writeFileSync(file, linesOf('cut', 12_000, 3).join(''))
    const given = ['append', '--from-file', file, '--json', '--in-flight', '1']
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const run = new SynodProcess(given, { SYNOD_NODES: cluster.urls.join(',') })
      await run.until(({ out }) => out.includes('"stoodBefore":false'))
      run.child.kill(signal)
      const { code, out } = await run.ended
      if (signal === 'SIGKILL') continue
      expect(code).toBe(130)
      expect(jsonLines(out).at(-1)).toMatchObject({ kind: 'summary', exitCode: 130, inDoubt: 0 })
    }
    expect(await synod(['append', '--from-file', file])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/; \d+ stood there before/),
    })
    await requireOnceInOrder('cut', 12_000, 3)
  })

  test('no quorum: it is said which lines may stand; when there is one again, each once, in order', async () => {
    const lines = linesOf('doubt', 400, 4)
    const given = ['append', '--json', '--source', 'doubt', '--timeout', '2']
    const run = new SynodProcess(given, { SYNOD_NODES: cluster.urls.join(',') })
    run.child.stdin.write(lines.slice(0, 200).join(''))
    await run.until(({ out }) => jsonLines(out.slice(0, out.lastIndexOf('\n'))).flatMap((line) => line.lines).length === 200)
    const stopped = [await cluster.kill('n2', 'SIGSTOP'), await cluster.kill('n3', 'SIGSTOP')]
    run.child.stdin.end(lines.slice(200).join(''))
    const { code, out } = await run.ended
    expect(code).toBe(69)
    const told = jsonLines(out)
    expect(told.find(({ kind }) => kind === 'failed')).toMatchObject({ code: 'unavailable', inDoubt: true, outcomeUnknown: true })
    expect(told.at(-1)).toMatchObject({ appended: 200, failed: 0, doneLines: [[1, 200]], exitCode: 69 })
    for (const pid of stopped) process.kill(pid, 'SIGCONT')
    await cluster.waitReady()
    expect(await synod(['append', '--source', 'doubt'], lines.join(''))).toMatchObject({ code: 0 })
    await requireOnceInOrder('doubt', 400, 4)
  })

  test('a bad line is named, and what stands; mended, the same source goes on', async () => {
    const lines = linesOf('bad', 60, 2)
    const good = lines[40] ?? ''
    lines[40] = good.replace('"data"', '"dta"')
    const bad = await synod(['append', '--source', 'bad'], lines.join(''))
    expect(bad).toMatchObject({ code: 1, out: expect.stringMatching(/^appended 40 events/) })
    expect(bad.err).toMatch(/^line 41: "dta" is unknown; did you mean data\?\nthese lines stand: 1-40\nno other line was appended\n/)
    expect(bad.err).toMatch(/mend the input.* the same command again.*--skip 40/)
    lines[40] = good
    expect(await synod(['append', '--source', 'bad'], lines.join(''))).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^appended 20 events .*40 stood there before/),
    })
    await requireOnceInOrder('bad', 60, 2)
    // Without a source, each run is another one; --skip goes on by hand.
    const skipped = await synod(['append', '--skip', '58'], linesOf('skip', 60, 1).join(''))
    expect(skipped.out).toMatch(/^appended 2 events/)
  })

  test('with --keep-going, bad lines are told and the others stand', async () => {
    const bad: [string, RegExp][] = [
      ['{"stream":', /no JSON/],
      ['[1]', /must be an object/],
      ['{"type":"T","data":1}', /stream must be a string/],
      ['{"stream":"keep","type":"T"}', /data is missing/],
      ['{"stream":"keep","type":"T","data":1,"tags":"x"}', /tags must be an array/],
      ['{"stream":"keep","type":"T","data":1,"id":"x"}', /id must be a UUID/],
      ['{"stream":"keep","type":"T","data":1,"expected":-1}', /expected must be any, noStream/],
      // These two are for the node to refuse: those that went with them go again.
      [`{"stream":"keep","type":"${'x'.repeat(300)}","data":1}`, /type/],
      [`{"stream":"keep","type":"T","data":1,"tags":["${'x'.repeat(300)}"]}`, /tag/],
      [`"${'x'.repeat(9 * 1024 * 1024)}"`, /at most 8388608 are read/],
    ]
    const good = (data: number): string => JSON.stringify({ stream: 'keep', type: 'T', data })
    const input = bad.flatMap(([line], index) => [good(index), line]).join('\n')
    const { code, out } = await synod(['append', '--keep-going', '--json'], `${input}\n\n${good(bad.length)}\r\n`)
    expect(code).toBe(1)
    const told = jsonLines(out)
    for (const [index, [, message]] of bad.entries()) {
      const line = 2 * index + 2
      const failed = told.find(({ kind, lines }) => kind === 'failed' && (lines as number[])[0] === line)
      expect(failed, `line ${line}`).toMatchObject({ lines: [line], inDoubt: false, message: expect.stringMatching(message) })
    }
    expect(told.at(-1)).toMatchObject({ kind: 'summary', appended: bad.length + 1, failed: bad.length, inDoubt: 0, exitCode: 1 })
    const read = await synod(['read', 'keep', '--json'])
    expect(jsonLines(read.out).map(({ data }) => data)).toEqual(Array.from({ length: bad.length + 1 }, (_, data) => data))
  })

  test('what a line expects is kept, and a conflict is told as one', async () => {
    const input = ['noStream', 0, 'streamExists', 7].map((expected, data) =>
      JSON.stringify({ stream: 'expects', type: 'T', data, expected }),
    )
    const { code, out } = await synod(['append', '--json'], input.join('\n'))
    expect(code).toBe(3)
    const told = jsonLines(out)
    expect(told.find(({ kind }) => kind === 'failed')).toMatchObject({
      lines: [4],
      inDoubt: false,
      code: 'wrong_expected_revision',
      expected: 7,
      actual: 2,
    })
    expect(told.at(-1)).toMatchObject({ kind: 'summary', appended: 3, doneLines: [[1, 3]], exitCode: 3 })
  })

  test('what was read is input too, and keeps its ids: it is appended once', async () => {
    await synod(['append'], linesOf('copied', 30, 1).join(''))
    const { out } = await synod(['read', 'copied-0', '--json'])
    const copy = await synod(['append', '--json'], out)
    expect(jsonLines(copy.out).at(-1)).toMatchObject({ appended: 0, stoodBefore: 30, failed: 0, exitCode: 0 })
    await requireOnceInOrder('copied', 30, 1)
  })
})
