/** `pnpm simulate`: a failing seed's line replays it, its trace is in documented columns, and an interrupted run goes on. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runSeed, traceText } from '@synod/simulator'
import { afterAll, describe, expect, test } from 'vitest'

const command = fileURLToPath(new URL('../src/command/main.ts', import.meta.url))
const document = readFileSync(new URL('../../../docs/simulation.md', import.meta.url), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'synod-simulate-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Ended {
  readonly text: string
  readonly errors: string
  readonly code: number | null
}

/** `onText` sees all that was said so far, and may send a signal. */
function simulate(args: readonly string[], onText: (text: string, interrupt: () => void) => void = () => {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args, '--folder', folder], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      onText(text, () => child.kill('SIGINT'))
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk))
    child.once('error', reject)
    child.once('close', (code) => resolve({ text, errors, code }))
  })
}

/** Runs until `mark` was said, and is interrupted then. */
function interrupted(args: readonly string[], mark: RegExp): Promise<Ended> {
  let isTold = false
  return simulate(args, (text, interrupt) => {
    if (isTold || !mark.test(text)) return
    isTold = true
    interrupt()
  })
}

describe('pnpm simulate', () => {
  test('the line that a failing seed prints replays it', async () => {
    const many = await simulate(['--protocol', 'multi', '--fault', 'send-before-sync', '--seeds', '2', '--from', '3', '--threads', '1'])
    expect(many.code).toBe(1)
    const [, args = '', kinds = '', file = ''] = /^pnpm simulate (.*?) {3}# (.*?); (.*)$/m.exec(many.text) ?? []
    const trace = readFileSync(file, 'utf8')
    const again = await simulate(args.split(' '))
    expect(again.code).toBe(1)
    for (const kind of kinds.split(', ')) expect(again.text).toContain(`  ${kind}: `)
    expect(readFileSync(file, 'utf8')).toBe(trace)
    expect(trace).toMatch(/^ +\d+\.\d{6} {2}n1 +start +n1\/1$/m)
  }, 120_000)

  test('an interrupted run goes on where it was, and remembers what failed', async () => {
    const args = ['--protocol', 'basic', '--fault', 'send-before-sync', '--seeds', '5000', '--threads', '1']
    const state = (): { failed: { seed: number }[]; figures: { basic: { seeds: number } } } =>
      JSON.parse(readFileSync(join(folder, 'basic-send-before-sync.json'), 'utf8'))
    const first = await interrupted(args, /^basic \d+ /m)
    expect(first.text).toContain('Interrupted: the same command goes on from here.')
    expect(first.code).toBe(1)
    const { failed, figures } = state()
    expect(failed.length).toBeGreaterThan(0)
    const second = await interrupted(args, /seeds, .* simulated hours/)
    expect(second.text).toMatch(/^Going on from seed /)
    expect(second.code).toBe(1)
    expect(second.text).toContain(`--seed ${failed[0]?.seed} `)
    expect(state().figures.basic.seeds).toBeGreaterThan(figures.basic.seeds)
  }, 120_000)

  test.each([
    [['--seed', '1.5'], /'1\.5' is invalid\. a whole number from 1 is wanted/],
    [['--threads', '0.5'], /'0\.5' is invalid\. a whole number from 1 is wanted/],
    [['--seeds', '0'], /'0' is invalid\. a whole number from 1 is wanted/],
    [['--seed', '3', '--seeds', '9'], /option '--seed <number>' cannot be used with option '--seeds <count>'/],
  ])('%j is refused, rather than taken for something else', async (args, why) => {
    const refused = await simulate(args)
    expect(refused.code).toBe(1)
    expect(refused.errors).toMatch(why)
    expect(refused.text).toBe('')
  })

  test('a state that cannot be read is named, and what to do', async () => {
    writeFileSync(join(folder, 'multi.json'), '{"version":2')
    const refused = await simulate(['--protocol', 'multi', '--seeds', '1', '--threads', '1'])
    expect(refused.code).toBe(1)
    expect(refused.errors).toMatch(/^error: .*multi\.json is damaged: remove it, or begin anew with --from 1$/m)
    expect(refused.text).toBe('')
  })

  test('every event of a trace is in the document, and every one of the document happens', async () => {
    const [, table = ''] = /\n\| event \| of \| detail \|\n.*\n((?:\|.*\n)+)/.exec(document) ?? []
    const documented = table.split('\n').flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
    const seen = new Set<string>()
    for (let seed = 1; seed <= 12; seed++) {
      for (const mode of ['basic', 'multi'] as const) {
        const { trace } = await runSeed({ mode, seed, isTraced: true })
        for (const { event } of trace) seen.add(event)
        for (const line of traceText(trace.slice(0, 50)).split('\n').slice(0, -1)) expect(line).toMatch(/^ *\d+\.\d{6} {2}\w+ +\w+ +.*$/)
      }
    }
    expect([...seen, 'violation'].toSorted()).toEqual(documented.toSorted())
  }, 60_000)
})
