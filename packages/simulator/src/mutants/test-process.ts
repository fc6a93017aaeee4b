/** A process that runs tests of one file with vitest, where every module has the faults that it was told to plant. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createVitest, type TestCase } from 'vitest/node'
import { faultNamed } from './all-faults.ts'
import { patchedText } from './patched-text.ts'
import { pathInRepository, repositoryFolder } from './repository.ts'
import { firstLine } from './trial.ts'

export interface TestTask {
  /** Of the package, from the root of the repository. */
  readonly folder: string
  /** In its `test` folder. */
  readonly file: string
  readonly titles: readonly string[]
  readonly faultsPlanted: readonly string[]
}

export interface TestReport {
  /** Full titles, group first. */
  readonly passed: readonly string[]
  readonly failed: readonly { readonly title: string; readonly message: string }[]
  /** What went wrong while they ran and that none of them caught. */
  readonly outside: readonly string[]
  /** Why the tests say nothing: the file cannot be loaded, or does not load what is patched. */
  readonly faults: readonly string[]
}

const testMsMax = 60_000

// Whoever asked has gone.
process.once('disconnect', () => process.exit(1))
process.once('message', (task: TestTask) => {
  run(task).then(
    (report) => process.send?.(report, () => process.exit()),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})

async function run({ folder, file, titles, faultsPlanted }: TestTask): Promise<TestReport> {
  const patches = faultsPlanted.flatMap((name) => faultNamed(name).patches)
  const left = new Set(patches.map((patch) => patch.file))
  const faults: string[] = []
  const plugin = {
    name: 'synod:planted-faults',
    enforce: 'pre' as const,
    transform(code: string, id: string) {
      const path = pathInRepository(pathToFileURL(id.split('?')[0] ?? id).href)
      if (path === undefined || !patches.some((patch) => patch.file === path)) return undefined
      left.delete(path)
      return { code: patchedText(path, code, patches), map: null } // positions in messages are off by the patch
    },
  }
  const root = join(repositoryFolder, folder)
  const vitest = await createVitest(
    'test',
    {
      config: false,
      root,
      watch: false,
      include: ['test/**/*.test.ts'],
      pool: 'threads',
      fileParallelism: false,
      reporters: [{}],
      fsModuleCache: false, // it would keep patched modules, and lend them to other runs
      testTimeout: testMsMax,
      hookTimeout: testMsMax,
      testNamePattern: new RegExp(titles.map((title) => title.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('|')),
    },
    { plugins: [plugin] },
  )
  const { testModules, unhandledErrors } = await vitest.start([join(root, 'test', file)])
  const tests = testModules.flatMap((module) => [...module.children.allTests()])
  for (const module of testModules) faults.push(...module.errors().map(({ message }) => firstLine(message)))
  for (const suite of testModules.flatMap((module) => [...module.children.allSuites()]))
    faults.push(...suite.errors().map(({ message }) => firstLine(message)))
  const failed = tests
    .filter((test) => test.result().state === 'failed')
    .map((test) => ({ title: test.fullName, message: messageOf(test) }))
  if (faults.length === 0 && left.size > 0) faults.push(`it does not load ${[...left].join(', ')}`)
  const passed = tests.filter((test) => test.result().state === 'passed').map((test) => test.fullName)
  await vitest.close()
  return { passed, failed, outside: unhandledErrors.map((error) => firstLine(messageIn(error))), faults }
}

function messageOf(test: TestCase): string {
  return firstLine(test.result().errors?.[0]?.message ?? '')
}

function messageIn(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error)
}
