import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))

/** Runs a module text in a process of its own, in this package's folder, until it has printed one line of JSON; the process goes on. */
export async function runAsChild<T>(module: string): Promise<{ readonly child: ChildProcess; readonly printed: T }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${module}; setInterval(() => {}, 1000);`], {
    cwd: packageFolder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const printed = await new Promise<T>((settle, fail) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += String(chunk)
      if (text.includes('\n')) settle(JSON.parse(text) as T)
    })
    child.once('exit', (code) => fail(new Error(`ended with ${code} before it printed a line`)))
  })
  return { child, printed }
}

/** Kills a process of ours as nothing else can, and waits until it is gone. */
export async function killHard(child: ChildProcess): Promise<void> {
  const gone = new Promise((settle) => child.once('exit', settle))
  child.kill('SIGKILL')
  await gone
}

/** A process that has ended but was not yet reaped by whoever inherited it counts as gone. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
