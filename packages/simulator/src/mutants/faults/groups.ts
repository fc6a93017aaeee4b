/** Faults of consumer groups: who may settle what, how far a partition is, the order inside a key. */
import type { Killer, PlantedFault } from '../planted-fault.ts'

const folder = 'packages/events'
const groups = `${folder}/src/groups`

const seeds: readonly Killer[] = [
  { by: 'seeds', mode: 'basic', seedsMax: 200 },
  { by: 'seeds', mode: 'multi', seedsMax: 200 },
]
const stateModel: Killer = { by: 'test', folder, file: 'groups-state.test.ts', test: 'groups say what the model says' }

export const faultsOfGroups: readonly PlantedFault[] = [
  {
    name: 'stale-acknowledgement-accepted',
    breaks: 'what is said of an earlier generation changes nothing',
    patches: [
      {
        file: `${groups}/group-part.ts`,
        find: 'if (generation !== state.generation) return',
        replace: 'if (generation > state.generation) return',
      },
    ],
    killers: [stateModel],
  },
  {
    name: 'stale-acknowledgement-taken-here',
    breaks: 'an acknowledgement counts for the delivery of its generation',
    patches: [
      {
        file: `${groups}/group-dispatcher.ts`,
        find: 'if (generation !== this.#here?.generation) return undefined\n    const given',
        replace: 'if (generation < 0) return undefined\n    const given',
      },
    ],
    killers: [{ by: 'test', folder, file: 'groups-stale.test.ts', test: 'an acknowledgement of an earlier delivery' }],
  },
  {
    name: 'acknowledgement-of-another-member',
    breaks: 'a partition is settled by the member that has it',
    patches: [
      {
        file: `${groups}/group-state.ts`,
        find: 'part.partition >= this.owners.length || this.owners[part.partition] !== memberId(instance, part.number)',
        replace: 'part.partition >= this.owners.length',
      },
    ],
    killers: [stateModel],
  },
  {
    name: 'settled-skips-an-open-one',
    breaks: 'settled ends before the first event that is not settled',
    patches: [
      {
        file: `${groups}/partition-feed.ts`,
        find: 'for (const [position, { reopened }] of this.#held) if (reopened === undefined) return position - 1',
        replace: "for (const [position, { stage }] of this.#held) if (stage === 'atConsumer') return position - 1",
      },
    ],
    killers: seeds,
  },
  {
    name: 'parked-key-lets-later-pass',
    breaks: 'what follows a parked event of its key is parked too',
    patches: [
      {
        file: `${groups}/partition-feed.ts`,
        find: 'const parked = this.#parkedKeys.get(key)',
        replace: 'const parked = this.#parkedKeys.get(`${key} of another`)',
      },
    ],
    killers: [{ by: 'test', folder, file: 'groups.test.ts', test: 'is given a rejected event again, before any later one of its key' }],
  },
  {
    name: 'generation-stays-when-a-partition-moves',
    breaks: 'a partition that changes hands begins a generation',
    patches: [
      {
        file: `${groups}/group-state.ts`,
        find: 'this.owners = owners\n    this.#newGeneration()',
        replace: 'this.owners = owners\n    this.isChanged = true\n    if (this.generation === 0) this.#newGeneration()',
      },
    ],
    killers: [...seeds, stateModel],
  },
  {
    name: 'expired-on-an-old-heartbeat',
    breaks: 'who was heard of since does not expire',
    patches: [
      {
        file: `${groups}/group-part.ts`,
        find: 'if (known === undefined || known.seen !== seen) return',
        replace: 'if (known === undefined || seen < 0) return',
      },
    ],
    killers: [
      stateModel,
      { by: 'test', folder, file: 'groups.test.ts', test: 'that was thought dead joins again by itself, unless it was heard of since' },
    ],
  },
]
