import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

export const main = join(import.meta.dirname, '../../src/main.ts')

export interface SynodResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A process of the command line, as a user runs it. */
export class SynodProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly ended: Promise<SynodResult>
  out = ''
  err = ''
  readonly #waiting: (() => void)[] = []

  constructor(given: readonly string[], environment: NodeJS.ProcessEnv) {
    const env = { ...process.env, NO_COLOR: '1', ...environment }
    this.child = spawn(process.execPath, [main, ...given], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    // A process that ends before it has read everything is no failure of the test's.
    this.child.stdin.on('error', () => undefined)
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => this.#on(() => (this.out += text)))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => this.#on(() => (this.err += text)))
    this.ended = once(this.child, 'close').then(([code]) => ({ code: code as number | null, out: this.out, err: this.err }))
    void this.ended.then(() => this.#on(() => undefined))
  }

  /** Resolves when what was printed satisfies `look`; rejects when the process ends without. */
  async until(look: (process: SynodProcess) => boolean): Promise<void> {
    while (!look(this)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`it ended:\n${this.out.slice(-2000)}\n${this.err}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #on(change: () => unknown): void {
    change()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export function runSynod(given: readonly string[], nodes: readonly string[], input = ''): Promise<SynodResult> {
  const synod = new SynodProcess(given, { SYNOD_NODES: nodes.join(',') })
  synod.child.stdin.end(input)
  return synod.ended
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
