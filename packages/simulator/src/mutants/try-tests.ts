import { fork } from 'node:child_process'
import { requireSoundPatch, TrialError, type Trial } from './trial.ts'
import type { TestReport, TestTask } from './test-process.ts'

const testsMsMax = 180_000

/** Runs the tests of one file whose full titles begin with one of these, or have it after a group's title, in a process that has the faults planted. */
export async function tryTests(folder: string, file: string, titles: readonly string[], faultsPlanted: readonly string[]): Promise<Trial> {
  const { passed, failed, outside, faults } = await reported({ folder, file, titles, faultsPlanted })
  if (faults.length > 0) throw new TrialError(`${folder}/test/${file} cannot be run: ${faults.join('; ')}`)
  for (const title of titles)
    if (![...passed, ...failed.map((test) => test.title)].some((name) => isTitled(name, title)))
      throw new TrialError(
        `${folder}/test/${file} has no test ${JSON.stringify(title)}: correct the killer in packages/simulator/src/mutants/faults`,
      )
  const what =
    [...failed.map(({ title, message }) => `${title}: ${message}`), ...outside.map((message) => `outside of a test: ${message}`)][0] ?? ''
  requireSoundPatch(what)
  return { isKilled: what !== '', count: passed.length + failed.length, unit: 'tests', what }
}

function isTitled(name: string, title: string): boolean {
  return name.startsWith(title) || name.includes(` > ${title}`)
}

function reported(task: TestTask): Promise<TestReport> {
  const child = fork(new URL('test-process.ts', import.meta.url), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'json' })
  return new Promise((resolve, reject) => {
    let errors = ''
    child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2_000)))
    const late = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new TrialError(`${task.folder}/test/${task.file} did not end within ${testsMsMax} ms`))
    }, testsMsMax)
    child.once('message', (report: TestReport) => {
      clearTimeout(late)
      resolve(report)
    })
    child.once('error', (error) => reject(new TrialError(String(error), { cause: error })))
    // After a message it says nothing any more.
    child.once('exit', (code) => {
      clearTimeout(late)
      reject(new TrialError(`${task.folder}/test/${task.file} ended early (${code}): ${errors}`))
    })
    child.send(task)
  })
}
