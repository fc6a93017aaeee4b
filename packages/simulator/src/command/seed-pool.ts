/** Runs tasks on as many threads as wanted, each on a core of its own; answers come as they are ready. */
import { Worker } from 'node:worker_threads'
import type { SeedReport, SeedTask } from './seed-task.ts'

export interface SeedPoolOptions {
  readonly threads: number
  readonly onReport: (report: SeedReport) => void
  /** No more tasks are begun once it is true. */
  readonly isOver?: () => boolean
}

/** Resolves when every task is done, or when it is over and those under way are done. Rejects when a thread fails. */
export async function runPool(tasks: Iterator<SeedTask>, { threads, onReport, isOver = () => false }: SeedPoolOptions): Promise<void> {
  await Promise.all(Array.from({ length: threads }, () => runThread(tasks, onReport, isOver)))
}

function runThread(tasks: Iterator<SeedTask>, onReport: (report: SeedReport) => void, isOver: () => boolean): Promise<void> {
  const worker = new Worker(new URL('worker.ts', import.meta.url))
  return new Promise((resolve, reject) => {
    const next = (): void => {
      const task = isOver() ? undefined : tasks.next()
      if (task !== undefined && task.done !== true) return worker.postMessage(task.value)
      resolve()
      void worker.terminate()
    }
    worker.on('message', (report: SeedReport) => {
      onReport(report)
      next()
    })
    worker.once('error', reject)
    // After `resolve` it says nothing any more.
    worker.once('exit', () => reject(new Error('a thread of the simulator ended early')))
    next()
  })
}
