import Table from 'cli-table3'
import { benchTables, type BenchTable } from './bench-tables.ts'
import type { BenchResult } from './bench.ts'

/** The result for people: the machine and what was compared, then a table a work. */
export function benchReport(result: BenchResult): string {
  const { machine, plan, missing, idleCores } = result
  const gibibytes = (machine.memoryBytes / 2 ** 30).toFixed(1)
  const clients = new Map(result.append.map(({ name, client }) => [name, client]))
  return [
    `machine    ${machine.cores} cores (${machine.processor}), ${gibibytes} GiB, ${machine.system}, Node ${machine.node};`,
    `           a write and its fdatasync take ${machine.syncMilliseconds.toFixed(2)} ms; stores, clients and load share these cores`,
    `load       events of ${result.eventBytes} bytes, one an append, each acknowledged before the next one of its turn;`,
    `           median of ${plan.rounds} rounds of ${plan.roundMilliseconds / 1000} s, by turns between the stores`,
    ...(idleCores === undefined ? [] : [`idle       all stores together take ${idleCores.toFixed(2)} cores while none is under load`]),
    ...[...clients].map(([name, client]) => `client     ${name}: ${client}`),
    ...missing.map(({ store, why }) => `missing    ${store}: ${why}`),
    ...failures(result).map((line) => `FAILURES   ${line}`),
    ...benchTables(result).map((table) => `\n${table.title}\n${drawn(table)}`),
  ].join('\n')
}

/** The tables alone, as Markdown, for a document. */
export function benchMarkdown(result: BenchResult): string {
  return benchTables(result)
    .map(({ title, columns, rows }) => {
      const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
      const rule = columns.map(({ align }) => (align === 'right' ? '---:' : '---'))
      return [`**${title}**`, '', line(columns.map(({ head }) => head)), line(rule), ...rows.map(line)].join('\n')
    })
    .join('\n\n')
}

function drawn({ columns, rows }: BenchTable): string {
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ align }) => align),
    style: { head: [], border: [], compact: true },
  })
  table.push(...rows.map((row) => [...row]))
  return table.toString()
}

function failures({ append, conditional, live }: BenchResult): string[] {
  return [
    ...append.flatMap(({ name, inFlight, rounds }) =>
      rounds
        .filter((round) => round.failures > 0)
        .map(
          (round) => `${name}, ${inFlight} in flight: ${round.failures} appends failed and are not counted; one of them: ${round.failure}`,
        ),
    ),
    ...conditional.flatMap(({ name, rounds }) =>
      rounds
        .flatMap(({ plain, conditional: under }) => [plain, under])
        .filter((round) => round.failures > 0)
        .map((round) => `${name}, conditional: ${round.failures} appends failed and are not counted; one of them: ${round.failure}`),
    ),
    ...live.flatMap(({ name, rounds }) =>
      rounds.filter(({ missing }) => missing > 0).map(({ missing }) => `${name}, live: ${missing} events did not arrive`),
    ),
  ]
}
