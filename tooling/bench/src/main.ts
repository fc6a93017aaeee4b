#!/usr/bin/env node
/** `pnpm bench`: progress to standard error, the result to standard output. */
import { Command } from 'commander'
import { BenchError } from './bench-error.ts'
import { benchReport } from './bench-report.ts'
import { bench, type BenchPlan } from './bench.ts'

const loads = [1, 256]
const full: BenchPlan = { rounds: 3, roundMilliseconds: 10_000, warmUpMilliseconds: 2_000, loads }
const quick: BenchPlan = { rounds: 3, roundMilliseconds: 2_000, warmUpMilliseconds: 500, loads }
/** Of the run without its cleaning up. */
const fullMillisecondsMax = 210_000
const quickMillisecondsMax = 55_000

const { quick: isQuick = false, json: asJson = false } = new Command('bench')
  .description(
    'Appends to a Synod cluster and to JetStream R3 side by side on this machine: appends/s and latency at 1 and at 256 in flight',
  )
  .option('--quick', 'rounds of 2 s instead of 10 s: under a minute instead of under four')
  .option('--json', 'the result as one JSON object')
  .addHelpText(
    'after',
    '\nStarts its own servers on free ports with temporary data and stops them. Without a nats-server it measures Synod alone and says so.',
  )
  .parse()
  .opts<{ quick?: boolean; json?: boolean }>()

const ending = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => ending.abort(new BenchError(`stopped by ${name}`)))
const millisecondsMax = isQuick ? quickMillisecondsMax : fullMillisecondsMax
const deadline = setTimeout(() => ending.abort(new BenchError(`not done after ${millisecondsMax / 1000} s`)), millisecondsMax)

try {
  const report = (message: string): void => void process.stderr.write(`${message}\n`)
  const result = await bench({ plan: isQuick ? quick : full, report, signal: ending.signal })
  process.stdout.write(`${asJson ? JSON.stringify(result) : benchReport(result)}\n`)
} catch (error) {
  process.stderr.write(`error: ${error instanceof BenchError ? error.message : ((error as Error).stack ?? String(error))}\n`)
  process.exitCode = 1
}
clearTimeout(deadline)
