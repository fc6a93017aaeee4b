/** The code of docs/client.md, type-checked as one module and run against a real node: the page is a program. Takes a few seconds. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'

const run = promisify(execFile)
const clone = join(import.meta.dirname, '..', '..', '..', '..')
const page = readFileSync(join(clone, 'docs', 'client.md'), 'utf8')
const program = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code).join('\n')

let cluster: LocalCluster
let folder: string
beforeAll(async () => {
  // In reach of this package's dependencies.
  const modules = join(import.meta.dirname, '..', '..', 'node_modules', '.cache')
  mkdirSync(modules, { recursive: true })
  folder = mkdtempSync(join(modules, 'client-docs-'))
  cluster = await startCluster({ nodes: 1 })
}, 120_000)
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await cluster?.remove()
}, 60_000)

test('the code of docs/client.md has the right types', { timeout: 60_000 }, async () => {
  writeFileSync(join(folder, 'page.ts'), `${program}\nexport {}\n`)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '@synod/tsconfig/test.json',
      compilerOptions: { rootDir: clone, incremental: false, tsBuildInfoFile: null, noUnusedLocals: true },
      files: ['page.ts'],
      include: [],
    }),
  )
  const compiler = join(clone, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = await run(process.execPath, [compiler, '-p', folder]).catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
})

test('the code of docs/client.md runs, and prints what it says', { timeout: 60_000 }, async () => {
  const text = program.replaceAll('http://127.0.0.1:2113', cluster.url('n1'))
  writeFileSync(join(folder, 'page.mjs'), stripTypeScriptTypes(text))
  const running = run(process.execPath, [join(folder, 'page.mjs')], { timeout: 50_000 })
  // What it had printed shows how far it came.
  const { stdout } = await running.catch((error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr }))
  expect(stdout.split('\n')).toEqual([
    '0n 1n',
    'course-1 noStream 2n',
    '1n ada',
    '2n grace',
    '4n course-2 StudentEnrolled',
    '3n course-1 StudentEnrolled',
    'CourseOpened',
    'StudentEnrolled',
    'StudentEnrolled',
    'StudentEnrolled',
    'course-1 2n',
    '1 4n true',
    "6n [ 'course-4@0', 'course-5@0' ]",
    '5n',
    '0 undefined',
    '7n 1',
    '3 2n StudentEnrolled',
    '1',
    '1n',
    'true',
    "[ 'course-1@1 1', 'course-1@2 1', 'course-2@0 1', 'course-4@1 1' ]",
    "{ student: 'mary' } true",
    '0 undefined',
    'ada false',
    'grace false',
    'n1 8',
    '',
  ])
})
