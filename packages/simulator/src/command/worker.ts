/** A thread that runs one seed after the other. */
import { parentPort } from 'node:worker_threads'
import { runTask, type SeedTask } from './seed-task.ts'

parentPort?.on('message', (task: SeedTask) => {
  runTask(task).then(
    (report) => parentPort?.postMessage(report),
    (error: unknown) => {
      // A bug of the simulator itself: the thread ends, and whoever waits for it hears why.
      setImmediate(() => {
        throw error
      })
    },
  )
})
