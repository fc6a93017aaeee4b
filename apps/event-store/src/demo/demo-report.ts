/** The end of the demo: how long each step took, and what it was about. */
export interface DemoReport {
  readonly events: number
  readonly streams: number
  readonly appends: number
  /** Appends that were sent again. */
  readonly retries: number
  /** Nodes where the subscriber subscribed. */
  readonly subscriptions: number
  readonly killed: string
  readonly newLeader: string
  readonly milliseconds: {
    readonly start: number
    readonly append: number
    /** Between two acknowledgements in a row, from the kill on. */
    readonly longestPause: number
    /** From the kill. */
    readonly newLeader: number
    readonly ready: number
    readonly caughtUp: number
    /** From the last acknowledgement. */
    readonly samePosition: number
    readonly verify: number
  }
}

/** A small table for people. */
export function demoReport(report: DemoReport): string {
  const { milliseconds, events, appends, killed } = report
  const perSecond = (count: number): string => Math.round((count / milliseconds.append) * 1000).toLocaleString('en')
  const rows: readonly (readonly [string, number, string])[] = [
    ['cluster start', milliseconds.start, 'three nodes with their Postgres, from nothing to ready'],
    [
      'appending',
      milliseconds.append,
      `${perSecond(appends)} appends/s, ${perSecond(events)} events/s; ${events} events into ${report.streams} streams`,
    ],
    [
      'longest pause of appends',
      milliseconds.longestPause,
      `after kill -9 of ${killed}; ${report.retries} appends were sent again, elsewhere`,
    ],
    ['kill to new leader', milliseconds.newLeader, `${report.newLeader} leads`],
    ['kill to node ready again', milliseconds.ready, `${killed}, started again after a second`],
    ['kill to caught up', milliseconds.caughtUp, `${killed} had all that the others had when it got ready`],
    ['all at the same position', milliseconds.samePosition, `position ${events} at every node, after the last append`],
    ['verify', milliseconds.verify, `every node and the subscriber (${report.subscriptions} subscriptions) against the input`],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return ['', ...rows.map(([name, time, what]) => `  ${name.padEnd(width)}  ${(time / 1000).toFixed(2).padStart(7)} s  ${what}`), ''].join(
    '\n',
  )
}
