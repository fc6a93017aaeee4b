#!/usr/bin/env node
/** `pnpm explore`: progress to standard error, the result to standard output; exit code 1 for a violation, 2 when it was not completed. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { defaultStatesMax, type Bounds } from './bounds.ts'
import { explorationText } from './exploration-text.ts'
import { explore, type Progress } from './explorer.ts'

const within =
  (low: number, high: number) =>
  (text: string): number => {
    const number = Number(text)
    if (!Number.isSafeInteger(number) || number < low || number > high)
      throw new InvalidArgumentError(`a whole number from ${low} to ${high}.`)
    return number
  }

const options = new Command('explore')
  .description(
    'Visits every state that the real Paxos core reaches within bounds, breadth-first, and checks each against the invariants and the specification',
  )
  .addOption(
    new Option('--protocol <name>', 'paxos: one round a slot, no leader; multi: a leader orders the log')
      .choices(['paxos', 'multi'])
      .default('paxos'),
  )
  .option('--nodes <n>', 'members', within(1, 5), 3)
  .option('--proposers <n>', 'of the nodes; the others only vote (default: all, multi with a crash 1)', within(1, 5))
  .option('--ballots <n>', 'rounds begun, by all nodes together (default: paxos 3, multi 2)', within(1, 6))
  .option('--rounds <n>', 'rounds that one node begins in one life', within(1, 6), 1)
  .option('--values <n>', 'different entries offered (default: paxos 2, multi 1, with a small quorum 2)', within(1, 4))
  .option('--slots <n>', 'slots (default: paxos 1, multi 2)', within(1, 3))
  .option(
    '--crashes <n>',
    'crashes with a restart from what is durable, of all nodes together (default: paxos 0, multi 1, with a small quorum 0)',
    within(0, 3),
  )
  .option('--apart', 'a write and the sends that wait for it are two steps, with crashes between', false)
  .option(
    '--quorum-too-small',
    'a phase-2 quorum lacks one node: from 3 nodes on agreement must break, and the shortest trace is shown',
    false,
  )
  .option('--states-max <n>', 'gives up at more states', within(1, 100_000_000), defaultStatesMax)
  .addHelpText(
    'after',
    `
Messages are lost, doubled, reordered and delayed in every run: what was sent stays deliverable for ever, and need never be delivered.

  pnpm explore --protocol paxos --nodes 3 --ballots 3 --values 2     the classic bound
  pnpm explore --protocol paxos --ballots 2 --apart                  write and send apart
  pnpm explore --ballots 2 --apart --crashes 1 --proposers 1         the same with a crash and restart between
  pnpm explore --protocol multi --slots 2                            a log of two slots, with a crash and restart of any node
  pnpm explore --protocol multi --slots 2 --crashes 0 --proposers 2  the same with a change of leaders
  pnpm explore --quorum-too-small                                    must find a violation`,
  )
  .parse()
  .opts<{
    protocol: 'paxos' | 'multi'
    nodes: number
    proposers?: number
    ballots?: number
    rounds: number
    values?: number
    slots?: number
    crashes?: number
    apart: boolean
    quorumTooSmall: boolean
    statesMax: number
  }>()

// The defaults of multi end within minutes; a quorum that is too small needs two leaders and two values to show.
const isMulti = options.protocol === 'multi'
const crashes = options.crashes ?? (isMulti && !options.quorumTooSmall ? 1 : 0)
const bounds: Bounds = {
  protocol: options.protocol,
  nodes: options.nodes,
  proposers: Math.min(options.proposers ?? (isMulti && crashes > 0 ? 1 : options.nodes), options.nodes),
  ballots: options.ballots ?? (isMulti ? 2 : 3),
  rounds: options.rounds,
  values: options.values ?? (isMulti && !options.quorumTooSmall ? 1 : 2),
  slots: options.slots ?? (isMulti ? 2 : 1),
  crashes,
  isApart: options.apart,
  hasSmallQuorum: options.quorumTooSmall,
  statesMax: options.statesMax,
}

const reportSeconds = 5
let reportedAt = 0
const onProgress = ({ states, open, depth, seconds }: Progress): void => {
  if (seconds - reportedAt < reportSeconds) return
  reportedAt = seconds
  process.stderr.write(
    `${seconds.toFixed(0)} s: ${states.toLocaleString('en-US')} states, ${open.toLocaleString('en-US')} to expand, depth ${depth}\n`,
  )
}
const result = explore(bounds, { onProgress })
process.stdout.write(`${explorationText(bounds, result)}\n`)
process.exitCode = result.violation !== undefined ? 1 : result.isCut ? 2 : 0
