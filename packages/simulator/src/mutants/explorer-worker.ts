/** A thread that explores once, with the faults that it was told to plant. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Bounds } from '../explorer/bounds.ts'
import { plant } from './plant.ts'

export interface ExplorerTask {
  readonly bounds: Bounds
  readonly faultsPlanted: readonly string[]
}

export interface ExplorerReport {
  readonly states: number
  readonly violation: string | undefined
}

const { bounds, faultsPlanted } = workerData as ExplorerTask
const checkPlanted = plant(faultsPlanted)
// Only now, so that it is loaded with the faults.
const { explore } = await import('../explorer/explorer.ts')
checkPlanted()
let seen = 0
const explored = (): ExplorerReport => {
  try {
    const { states, violation } = explore(bounds, { onProgress: ({ states: now }) => (seen = now) })
    return { states, violation: violation?.what }
  } catch (error) {
    // The core's own check came first; how many states there were by then is known roughly.
    if (!(error instanceof Error) || !error.message.startsWith('a Paxos invariant is broken')) throw error
    return { states: seen, violation: error.message }
  }
}
parentPort?.postMessage(explored())
