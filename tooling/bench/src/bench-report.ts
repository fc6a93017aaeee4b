import Table from 'cli-table3'
import type { BenchResult } from './bench.ts'

/** The result for people: the machine and what was compared, then the figures. */
export function benchReport(result: BenchResult): string {
  const { machine, plan, missing, figures } = result
  const gibibytes = (machine.memoryBytes / 2 ** 30).toFixed(1)
  const clients = new Map(figures.map(({ store, client }) => [store, client]))
  const failures = figures.flatMap(({ store, inFlight, rounds }) =>
    rounds
      .filter((round) => round.failures > 0)
      .map(
        (round) => `${store}, ${inFlight} in flight: ${round.failures} appends failed and are not counted; one of them: ${round.failure}`,
      ),
  )
  return [
    `machine    ${machine.cores} cores (${machine.processor}), ${gibibytes} GiB, ${machine.system}, Node ${machine.node};`,
    `           a write and its fdatasync take ${machine.syncMilliseconds.toFixed(2)} ms; stores, clients and load share these cores`,
    `load       events of ${result.eventBytes} bytes, one an append, each acknowledged before the next one of its turn;`,
    `           median of ${plan.rounds} rounds of ${plan.roundMilliseconds / 1000} s, by turns between the stores`,
    ...[...clients].map(([store, client]) => `client     ${store}: ${client}`),
    ...missing.map(({ store, why }) => `missing    ${store}: ${why}`),
    ...failures.map((line) => `FAILURES   ${line}`),
    '',
    figuresTable(result),
  ].join('\n')
}

function figuresTable({ figures, ratios }: BenchResult): string {
  const table = new Table({
    head: ['in flight', 'store', 'appends/s', 'p50 ms', 'p99 ms', 'load, cores', 'durable when answered'],
    colAligns: ['right', 'left', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  })
  for (const [index, { inFlight, store, durable, median }] of figures.entries()) {
    const { appendsPerSecond, p50Milliseconds, p99Milliseconds, generatorCores } = median
    const rate = Math.round(appendsPerSecond).toLocaleString('en')
    table.push([inFlight, store, rate, p50Milliseconds.toFixed(2), p99Milliseconds.toFixed(2), generatorCores.toFixed(2), durable])
    if (figures[index + 1]?.inFlight === inFlight) continue
    for (const ratio of ratios.filter((one) => one.inFlight === inFlight)) {
      const [rates, p50, p99] = [ratio.appendsPerSecond, ratio.p50, ratio.p99].map((times) => `× ${times.toFixed(2)}`)
      table.push([inFlight, `Synod ÷ ${ratio.store}`, rates, p50, p99, '', ''])
    }
  }
  return table.toString()
}
