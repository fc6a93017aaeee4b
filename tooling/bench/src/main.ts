#!/usr/bin/env node
/** `pnpm bench`: progress to standard error, the result to standard output. */
import { Command, InvalidArgumentError } from 'commander'
import { BenchError } from './bench-error.ts'
import { works, type BenchPlan, type Work } from './bench-plan.ts'
import { benchMarkdown, benchReport } from './bench-report.ts'
import { bench } from './bench.ts'
import { storeKeys, type StoreKey } from './target.ts'

const common = { rounds: 3, loads: [1, 256], liveEventsPerSecond: 1_000 }
const full: BenchPlan = {
  ...common,
  roundMilliseconds: 10_000,
  warmUpMilliseconds: 5_000,
  replayEventsCount: 200_000,
  liveMilliseconds: 10_000,
  memoryMilliseconds: 60_000,
}
const quick: BenchPlan = {
  ...common,
  roundMilliseconds: 500,
  warmUpMilliseconds: 700,
  replayEventsCount: 10_000,
  liveMilliseconds: 500,
  memoryMilliseconds: 2_000,
}
/** Of the run without its cleaning up and without the memory's minutes. */
const fullMillisecondsMax = 900_000
const quickMillisecondsMax = 120_000

interface Options {
  readonly quick?: boolean
  readonly json?: boolean
  readonly markdown?: boolean
  readonly only?: readonly StoreKey[]
  readonly work?: readonly Work[]
  readonly minutes?: number
}

const options = new Command('bench')
  .description('Synod beside JetStream R3, etcd and Emmett on this machine, the same work by turns in one run (docs/bench.md)')
  .option('--quick', 'short rounds: under a minute instead of ten, for a first look')
  .option('--only <stores>', `only these, with commas between them: ${storeKeys.join(', ')}`, listOf(storeKeys))
  .option('--work <works>', `only these: ${works.join(', ')}`, listOf(works))
  .option('--minutes <n>', 'how long the memory of a node is watched', positive)
  .option('--json', 'the result as one JSON object')
  .option('--markdown', 'the tables only, as Markdown')
  .addHelpText(
    'after',
    `
Starts its own servers on free ports with temporary data and stops them. nats-server and etcd are taken from the PATH (or NATS_SERVER,
ETCD_SERVER), or fetched from Debian's packages; what cannot be had is named in the result, and the rest is measured.

Examples:
  pnpm bench --quick
  pnpm bench --only synod,jetstream --work append
  pnpm bench --only synod --work memory --minutes 10`,
  )
  .parse()
  .opts<Options>()

const basis = options.quick ? quick : full
const plan: BenchPlan = options.minutes === undefined ? basis : { ...basis, memoryMilliseconds: options.minutes * 60_000 }
const ending = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => ending.abort(new BenchError(`stopped by ${name}`)))
const millisecondsMax = (options.quick ? quickMillisecondsMax : fullMillisecondsMax) + plan.memoryMilliseconds
const deadline = setTimeout(() => ending.abort(new BenchError(`not done after ${millisecondsMax / 1000} s`)), millisecondsMax)

try {
  const result = await bench({
    plan,
    stores: options.only ?? storeKeys,
    works: options.work ?? works,
    report: (message) => void process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${message}\n`),
    signal: ending.signal,
  })
  process.stdout.write(`${options.json ? JSON.stringify(result) : options.markdown ? benchMarkdown(result) : benchReport(result)}\n`)
} catch (error) {
  process.stderr.write(`error: ${error instanceof BenchError ? error.message : ((error as Error).stack ?? String(error))}\n`)
  process.exitCode = 1
}
clearTimeout(deadline)

function listOf<T extends string>(allowed: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((name) => {
      const found = allowed.find((one) => one === name.trim())
      if (found === undefined) throw new InvalidArgumentError(`"${name}" is none of ${allowed.join(', ')}.`)
      return found
    })
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('A number above 0.')
  return number
}
