/**
 * Not faults of the harness's taste but checks of the harness: a learner that tells another value than it learned must be noticed by
 * every kind of killer, at once. When it is not, nothing else that the command says is worth anything.
 */
import type { PlantedFault } from '../planted-fault.ts'
import { smallMulti, smallPaxos } from './bounds.ts'

export const canaries: readonly PlantedFault[] = [
  {
    name: 'canary',
    breaks: 'a learner tells what it learned',
    patches: [
      {
        file: 'packages/consensus-paxos/src/learner.ts',
        find: "this.#outbox.emit({ kind: 'decide', index, header, entry })",
        replace: "this.#outbox.emit({ kind: 'decide', index, header, entry: entry.slice(1) })",
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 5 },
      { by: 'seeds', mode: 'multi', seedsMax: 5 },
      { by: 'explorer', bounds: smallPaxos },
      { by: 'explorer', bounds: smallMulti },
      { by: 'test', folder: 'packages/consensus-paxos', file: 'article.test.ts', test: 'N1 repairs 101' },
    ],
  },
]
