/** Runs tasks on as many threads as wanted, each on a core of its own; answers come as they are ready. */
import { Worker } from 'node:worker_threads'
import type { SeedReport, SeedTask } from './seed-task.ts'

export interface SeedPoolOptions {
  readonly threads: number
  /** Planted in every thread, by name. Default: none. */
  readonly faultsPlanted?: readonly string[]
  readonly onReport: (report: SeedReport) => void
  /** No more tasks are begun once it is true. */
  readonly isOver?: () => boolean
  /** A seed that takes longer, in real time, is an error. Default: none. */
  readonly seedMsMax?: number
}

/** Resolves when every task is done, or when it is over and those under way are done. Rejects when a thread fails. */
export async function runPool(tasks: Iterator<SeedTask>, options: SeedPoolOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.threads }, () => runThread(tasks, options)))
}

function runThread(tasks: Iterator<SeedTask>, options: SeedPoolOptions): Promise<void> {
  const { onReport, isOver = () => false, faultsPlanted = [], seedMsMax } = options
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: faultsPlanted })
  return new Promise((resolve, reject) => {
    let late: NodeJS.Timeout | undefined
    const next = (): void => {
      const task = isOver() ? undefined : tasks.next()
      if (task === undefined || task.done === true) {
        resolve()
        void worker.terminate()
        return
      }
      const { mode, seed } = task.value
      worker.postMessage(task.value)
      if (seedMsMax === undefined) return
      late = setTimeout(() => {
        reject(new Error(`${mode} ${seed} did not end within ${seedMsMax} ms`))
        void worker.terminate()
      }, seedMsMax)
    }
    worker.on('message', (report: SeedReport) => {
      clearTimeout(late)
      onReport(report)
      next()
    })
    worker.once('error', reject)
    // After `resolve` it says nothing any more.
    worker.once('exit', () => {
      clearTimeout(late)
      reject(new Error('a thread of the simulator ended early'))
    })
    next()
  })
}
