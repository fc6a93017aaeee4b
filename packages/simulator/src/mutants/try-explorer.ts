import { Worker } from 'node:worker_threads'
import type { Bounds } from '../explorer/bounds.ts'
import type { ExplorerReport, ExplorerTask } from './explorer-worker.ts'
import { firstLine, requireSoundPatch, TrialError, type Trial } from './trial.ts'

const exploreMsMax = 240_000

/**
 * Explores the core, in a thread that has the faults planted, as far as the bounds or `statesMax` go. What the core itself takes for a
 * broken invariant counts as a violation.
 */
export async function tryExplorer(bounds: Bounds, faultsPlanted: readonly string[]): Promise<Trial> {
  const { states, violation } = await explored({ bounds, faultsPlanted })
  if (violation !== undefined) requireSoundPatch(violation)
  return { isKilled: violation !== undefined, count: states, unit: 'states', what: firstLine(violation ?? '') }
}

function explored(task: ExplorerTask): Promise<ExplorerReport> {
  const worker = new Worker(new URL('explorer-worker.ts', import.meta.url), { workerData: task })
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => end(() => reject(new TrialError(`the explorer did not end within ${exploreMsMax} ms`))), exploreMsMax)
    const end = (settle: () => void): void => {
      clearTimeout(late)
      settle()
      void worker.terminate()
    }
    worker.once('message', (report: ExplorerReport) => end(() => resolve(report)))
    worker.once('error', (error) => end(() => reject(new TrialError(String(error), { cause: error }))))
    // After the others it says nothing any more.
    worker.once('exit', () => end(() => reject(new TrialError('the thread of the explorer ended early'))))
  })
}
