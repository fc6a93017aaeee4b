import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, platform, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { medianOf } from './median-of.ts'

export interface Machine {
  readonly cores: number
  readonly processor: string
  readonly memoryBytes: number
  readonly system: string
  readonly node: string
  /** Median of a write of 4 KiB and its fdatasync, where the stores keep their data. */
  readonly syncMilliseconds: number
}

const writesCount = 64
const writeBytes = 4096

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryBytes: totalmem(),
    system: `${platform()} ${release()}`,
    node: process.version,
    syncMilliseconds: measureSync(),
  }
}

function measureSync(): number {
  const folder = mkdtempSync(join(tmpdir(), 'synod-bench-sync-'))
  const file = openSync(join(folder, 'file'), 'w')
  const block = Buffer.alloc(writeBytes, 1)
  try {
    const times = Array.from({ length: writesCount }, () => {
      const startedAt = performance.now()
      writeSync(file, block)
      fdatasyncSync(file)
      return performance.now() - startedAt
    })
    return medianOf(times)
  } finally {
    closeSync(file)
    rmSync(folder, { recursive: true, force: true })
  }
}
