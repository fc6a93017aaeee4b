import { boundsText, type Bounds } from './bounds.ts'
import type { Exploration, TraceStep } from './explorer.ts'
import { invariantNames } from './invariants.ts'

const count = (number: number): string => number.toLocaleString('en-US')

/** The whole result for people: a table of figures, the invariants, and the trace of a violation. */
export function explorationText(bounds: Bounds, result: Exploration): string {
  const { states, depth, transitions, seconds, violation } = result
  const lines = [
    boundsText(bounds),
    '',
    `distinct states   ${count(states)}`,
    `depth             ${depth}`,
    `steps             ${count(transitions)}`,
    `node states       ${count(result.nodeStates)}, stepped by the real core`,
    `message sets      ${count(result.pools)}`,
    `time              ${seconds.toFixed(1)} s, ${count(Math.round(states / seconds))} states/s`,
    `comparisons       ${stepsText(result.stepCounts)}`,
    ...(result.coverage === undefined
      ? []
      : [
          `model coverage    ${count(result.coverage.covered)} of ${count(result.coverage.states)} states (${((100 * result.coverage.covered) / result.coverage.states).toFixed(1)} %)`,
        ]),
    '',
    ...(violation === undefined ? [result.isCut ? 'held as far as it was explored:' : 'held in every state:'] : ['checked:']),
    ...invariantNames.map((name) => `  ${name}`),
    '',
  ]
  if (result.isCut) lines.push(`NOT COMPLETE: stopped at ${count(bounds.statesMax)} states; raise --states-max or take smaller bounds`)
  else if (violation === undefined) lines.push('no violation')
  else
    lines.push(
      `VIOLATED: ${violation.what}`,
      '',
      'The shortest trace (step, node, what happens to it, what it does then):',
      ...traceText(violation.trace),
    )
  return lines.join('\n')
}

function stepsText(counts: readonly number[]): string {
  const words = ['stutters', 'single steps', 'runs of 2', 'runs of 3', 'runs of 4']
  return counts
    .map((found, steps) => `${count(found)} ${words[steps] ?? `runs of ${steps}`}`)
    .filter((_, steps) => (counts[steps] ?? 0) > 0)
    .join(', ')
}

function traceText(trace: readonly TraceStep[]): string[] {
  const width = Math.max(0, ...trace.map(({ what }) => what.length))
  return trace.map(({ node, what, does }, at) =>
    `${String(at + 1).padStart(4)}  ${node}  ${what.padEnd(width)}${does.length === 0 ? '' : `  ⇒ ${does.join(' · ')}`}`.trimEnd(),
  )
}
