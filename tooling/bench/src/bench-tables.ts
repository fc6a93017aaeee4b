import type { BenchResult } from './bench.ts'
import type { Comparison } from './compare.ts'
import { conditionalShareGoal, residentBytesGoal, type Measure } from './goals.ts'
import type { StoreKey } from './target.ts'

/** A work's figures as text: its columns, each with the side its cells lean to, and the rows, a cell a column. */
export interface BenchTable {
  readonly title: string
  readonly columns: readonly { readonly head: string; readonly align: 'left' | 'right' }[]
  readonly rows: readonly (readonly string[])[]
}

const left = (head: string) => ({ head, align: 'left' }) as const
const right = (head: string) => ({ head, align: 'right' }) as const
/** In front of a goal; a goal without one is for the rate. */
const measureNames: Readonly<Record<Measure, string>> = {
  appendsPerSecond: '',
  eventsPerSecond: '',
  p50Milliseconds: 'p50 ',
  p99Milliseconds: 'p99 ',
}

/** A table a work that was measured; below its figures the ratios, with the goals. */
export function benchTables(result: BenchResult): BenchTable[] {
  return [appendTable(result), conditionalTable(result), replayTable(result), liveTable(result), memoryTable(result)].filter(
    ({ rows }) => rows.length > 0,
  )
}

function appendTable({ append, comparisons }: BenchResult): BenchTable {
  const rows: string[][] = []
  for (const inFlight of new Set(append.map((figures) => figures.inFlight))) {
    const figures = append.filter((one) => one.inFlight === inFlight)
    for (const { name, durable, median } of figures) {
      const { appendsPerSecond, p50Milliseconds, p99Milliseconds, storeSecondsPer1000, loadCores } = median
      const times = [p50Milliseconds.toFixed(2), p99Milliseconds.toFixed(2), storeSecondsPer1000?.toFixed(3) ?? '–', loadCores.toFixed(2)]
      rows.push([String(inFlight), name, whole(appendsPerSecond), ...times, durable, ''])
    }
    for (const one of comparisons.filter((comparison) => comparison.work === 'append' && comparison.inFlight === inFlight)) {
      const { appendsPerSecond, p50Milliseconds, p99Milliseconds } = one.ratios
      const ratios = [appendsPerSecond, p50Milliseconds, p99Milliseconds].map(times)
      rows.push([String(inFlight), divided(one, figures), ...ratios, '', '', '', goalOf(one)])
    }
  }
  const columns = [
    right('in flight'),
    left('store'),
    right('appends/s'),
    right('p50 ms'),
    right('p99 ms'),
    right('CPU s/1,000'),
    right('load, cores'),
    left('durable when answered'),
    left('goal'),
  ]
  return { title: 'Append', columns, rows }
}

function conditionalTable({ conditional }: BenchResult): BenchTable {
  const rows = conditional.flatMap(({ name, condition, plain, conditional: under, share }) => {
    const figuresOf = ({ appendsPerSecond, p50Milliseconds, p99Milliseconds, storeSecondsPer1000 }: typeof plain): string[] => [
      whole(appendsPerSecond),
      p50Milliseconds.toFixed(2),
      p99Milliseconds.toFixed(2),
      storeSecondsPer1000?.toFixed(3) ?? '–',
    ]
    const goal = `≥ ${conditionalShareGoal.toFixed(2)} ${share >= conditionalShareGoal ? 'met' : 'missed'}`
    return [
      [name, 'none', ...figuresOf(plain), ''],
      [name, condition, ...figuresOf(under), ''],
      [`${name}, conditional ÷ plain`, '', times(share), '', '', '', goal],
    ]
  })
  const columns = [
    left('store'),
    left('condition'),
    right('appends/s'),
    right('p50 ms'),
    right('p99 ms'),
    right('CPU s/1,000'),
    left('goal'),
  ]
  return { title: `Append under a condition, ${conditional[0]?.inFlight ?? 0} in flight`, columns, rows }
}

function replayTable({ replay, comparisons }: BenchResult): BenchTable {
  const rows = replay.map(({ name, reader, median }) => [name, whole(median.eventsPerSecond), reader, ''])
  for (const one of comparisons.filter(({ work }) => work === 'replay')) {
    rows.push([divided(one, replay), times(one.ratios.eventsPerSecond), '', goalOf(one)])
  }
  const title = `Replay of ${whole(replay[0]?.eventsCount ?? 0)} events`
  return { title, columns: [left('store'), right('events/s'), left('read by'), left('goal')], rows }
}

function liveTable({ live, comparisons, plan }: BenchResult): BenchTable {
  const rows = live.map(({ name, subscriber, median: { p50Milliseconds, p99Milliseconds, eventsPerSecond } }) => [
    name,
    p50Milliseconds.toFixed(2),
    p99Milliseconds.toFixed(2),
    whole(eventsPerSecond),
    subscriber,
    '',
  ])
  for (const one of comparisons.filter(({ work }) => work === 'live')) {
    rows.push([divided(one, live), times(one.ratios.p50Milliseconds), times(one.ratios.p99Milliseconds), '', '', goalOf(one)])
  }
  const title = `Live delivery, append to subscriber, ${whole(plan.liveEventsPerSecond)} events/s`
  return {
    title,
    columns: [left('store'), right('p50 ms'), right('p99 ms'), right('events/s'), left('subscriber'), left('goal')],
    rows,
  }
}

function memoryTable({ memory }: BenchResult): BenchTable {
  const rows = memory.flatMap(({ name, nodes }) =>
    nodes.map(({ id, isLeader, mostBytes, middleBytes, endBytes, postgresBytes }) => [
      `${name}, ${id}${isLeader ? ', leader' : ''}`,
      mebibytes(mostBytes),
      times(endBytes / middleBytes),
      postgresBytes === undefined ? '–' : mebibytes(postgresBytes),
      `≤ ${mebibytes(residentBytesGoal)} ${mostBytes <= residentBytesGoal ? 'met' : 'missed'}`,
    ]),
  )
  const [first] = memory
  const title = `Memory of a node, ${first?.inFlight ?? 0} appends in flight for ${first?.seconds ?? 0} s`
  const columns = [left('node'), right('most, MiB'), right('end ÷ middle'), right('its Postgres, MiB'), left('goal')]
  return { title, columns, rows }
}

function divided({ store, peer }: Comparison, figures: readonly { readonly store: StoreKey; readonly name: string }[]): string {
  const nameOf = (key: StoreKey): string => figures.find((one) => one.store === key)?.name ?? key
  return `${nameOf(store)} ÷ ${nameOf(peer)}`
}

function goalOf({ goal }: Comparison): string {
  if (goal === undefined) return ''
  const bound = goal.atLeast === undefined ? `≤ ${goal.atMost?.toFixed(2)}` : `≥ ${goal.atLeast.toFixed(2)}`
  return `${measureNames[goal.measure]}${bound} ${goal.isMet ? 'met' : 'missed'}`
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '' : `× ${ratio.toFixed(2)}`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function mebibytes(bytes: number): string {
  return String(Math.round(bytes / 2 ** 20))
}
