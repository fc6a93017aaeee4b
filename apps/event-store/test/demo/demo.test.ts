import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, it } from 'vitest'

// The command as it is typed, in a process of its own: what it prints, its exit code, and that it leaves nothing behind.

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
let temporary: string

beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'synod-demo-test-'))
  chmodSync(temporary, 0o711) // Postgres runs as another user than root
})
afterEach(() => rmSync(temporary, { recursive: true, force: true, maxRetries: 5 }))

it('explains itself', async () => {
  const { code, out } = await runDemo(['--help'])
  expect(code).toBe(0)
  expect(out).toMatch(/Usage: synod demo \[options\]/)
  expect(out).toContain('--flights')
})

it.each([['--flights', '7'], ['--flights', 'many'], ['--fligths', '1000'], ['now']])('refuses %s %s as wrong usage', async (...argv) => {
  const { code, err } = await runDemo(argv.filter(Boolean))
  expect(code).toBe(2)
  expect(err).toMatch(/^error: /)
})

it('passes over the death of its leader, and removes all that it made', { timeout: 280_000 }, async () => {
  const { code, out, lines } = await runDemo(['--flights', '3000'])
  expect(lines.at(-1)).toBe('demo passed')
  expect(code).toBe(0)
  expect(out).toMatch(/kill -9 of the leader n\d, process \d+/)
  expect(out).toMatch(/kill to caught up +\d+\.\d\d s/)
  expect(readdirSync(temporary)).toEqual([])
})

it('cleans up when it is interrupted', { timeout: 180_000 }, async () => {
  const { code, lines } = await runDemo([], (line, interrupt) => line.includes('a subscriber follows') && interrupt())
  expect(lines.slice(-2)).toEqual(['demo failed:', '  stopped by SIGINT'])
  expect(code).toBe(1)
  expect(readdirSync(temporary)).toEqual([])
})

async function runDemo(argv: readonly string[], onText: (text: string, interrupt: () => void) => unknown = () => undefined) {
  const child = spawn(process.execPath, [main, 'demo', ...argv], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close') as Promise<[number | null]>
  child.stdout.on('data', (chunk: Buffer) => onText(chunk.toString(), () => child.kill('SIGINT')))
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { code, out, err, lines: out.trimEnd().split('\n') }
}
