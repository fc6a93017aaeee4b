/** A thread that runs one seed after the other, with the faults that it was told to plant. */
import { parentPort, workerData } from 'node:worker_threads'
import { plant } from '../mutants/plant.ts'
import type { SeedTask } from './seed-task.ts'

const checkPlanted = plant(workerData as readonly string[])
// Only now, so that it is loaded with the faults.
const { runTask } = await import('./seed-task.ts')
checkPlanted()

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
