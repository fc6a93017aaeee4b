/** Faults of retention, and of giving space back. */
import type { Killer, PlantedFault } from '../planted-fault.ts'

const folder = 'packages/events'
const retention = `${folder}/src/retention`
const log = 'packages/log'

const retentionTest = (test: string): Killer => ({ by: 'test', folder, file: 'retention.test.ts', test })
const retentionModel: Killer = {
  by: 'test',
  folder,
  file: 'retention-model.test.ts',
  test: 'what is visible, the last revision and the metadata are as the model says',
}
const tickingTest = (test: string): Killer => ({ by: 'test', folder, file: 'ticking.test.ts', test })
const seeds: readonly Killer[] = [
  { by: 'seeds', mode: 'basic', seedsMax: 200 },
  { by: 'seeds', mode: 'multi', seedsMax: 200 },
]
const storeTest = (test: string): Killer => ({ by: 'test', folder: log, file: 'memory-log-store.test.ts', test })

export const faultsOfRetention: readonly PlantedFault[] = [
  {
    name: 'hidden-event-comes-back',
    breaks: 'what was hidden stays hidden, whatever is asked for afterwards',
    patches: [
      {
        file: `${retention}/retention-judge.ts`,
        find: 'this.#change(state, { ...retention, ...hidden, metadata }, at)',
        replace: 'this.#change(state, { ...retention, metadata }, at)',
      },
    ],
    killers: [...seeds, retentionTest('a larger maxCount brings nothing back'), retentionModel],
  },
  {
    name: 'tombstone-forgotten-at-a-restart',
    breaks: 'a tombstone is for ever',
    patches: [
      {
        file: `${retention}/retention-state.ts`,
        find: 'const isTombstoned = reader.bool()',
        replace: 'const isTombstoned = reader.bool() && version < 0',
      },
    ],
    killers: [...seeds, retentionTest('deleting again is the same after a restart, too'), retentionModel],
  },
  {
    name: 'one-clock-moves-retention-time',
    breaks: 'one wrong clock moves nothing',
    patches: [
      {
        file: `${retention}/retention-clock.ts`,
        find: 'return clocks[Math.floor((clocks.length - 1) / 2)] ?? 0',
        replace: 'return clocks.at(-1) ?? 0',
      },
    ],
    killers: [
      ...seeds,
      retentionTest('one clock that is years wrong moves nothing'),
      tickingTest('a store into which nobody appends expires'),
    ],
  },
  {
    name: 'age-by-the-nodes-own-clock',
    breaks: 'no clock of one node hides anything',
    patches: [
      {
        file: `${retention}/retention-clock.ts`,
        find: 'return ageMs > this.#time ? 0 : this.#horizon.at(this.#time - ageMs)',
        replace: 'return this.#horizon.at(Date.now() - ageMs)',
      },
    ],
    killers: [...seeds, tickingTest('a store into which nobody appends expires')],
  },
  {
    name: 'reclaim-resurrects',
    breaks: 'what was let go does not come back',
    patches: [
      {
        file: `${log}/src/memory-pieces.ts`,
        find: 'piece.kept = kept',
        replace: 'piece.kept = new Map([...(piece.kept ?? []), ...[...kept].filter(([index]) => piece.kept?.has(index) !== true)])',
      },
    ],
    killers: [storeTest('again it keeps less, never more')],
  },
  {
    name: 'reclaimed-slot-written-again',
    breaks: 'what was given back is decided, and no late write brings it back',
    patches: [
      {
        file: `${log}/src/store-operation-checker.ts`,
        find: "if (operation.op === 'slot' && operation.index <= (this.#reclaimed.get(operation.epoch) ?? 0)) {",
        replace: "if (operation.op === 'slot' && operation.index < 0) {",
      },
    ],
    killers: [
      storeTest('what is reclaimed is decided for ever'),
      { by: 'test', folder: 'packages/log-postgres', file: 'postgres-log-store.test.ts', test: 'what is reclaimed is decided for ever' },
    ],
  },
  {
    name: 'reclaimed-slot-answered-as-empty',
    breaks: 'a slot whose space was given back is never told to be empty',
    patches: [
      {
        file: `${log}/src/memory-disk.ts`,
        find: 'if (found.length === 0 && gone !== undefined) throw reclaimedError(epoch, gone)',
        replace: '',
      },
      {
        file: `${log}/src/memory-disk.ts`,
        find: 'slot.index > to || (gone !== undefined && slot.index > gone)',
        replace: 'slot.index > to',
      },
    ],
    killers: [...seeds, storeTest('a reclaimed slot is never read whole')],
  },
  {
    name: 'reclaimed-slot-skipped-in-postgres',
    breaks: 'a read does not go on behind what was given back as if nothing had been there',
    patches: [
      {
        file: 'packages/log-postgres/src/slot-reader.ts',
        find: 'if (piece.slots === undefined) throw reclaimedError(epoch, next)',
        replace: `if (piece.slots === undefined) {
        next = piece.to + 1
        continue
      }`,
      },
    ],
    killers: [
      { by: 'test', folder: 'packages/log-postgres', file: 'postgres-log-store.test.ts', test: 'a reclaimed slot is never read whole' },
    ],
  },
  {
    name: 'reclaim-drops-what-is-visible',
    breaks: 'what readers may still ask for is kept',
    patches: [
      {
        file: `${folder}/src/reclaim/visible-parts.ts`,
        find: 'isShown(hidden.get(streamNumbers[event] ?? 0), revisions[event] ?? 0, firstPosition',
        replace:
          'isShown(hidden.get(streamNumbers[event] ?? 0) ?? { belowRevision: 0, throughPosition: 0 }, (revisions[event] ?? 0) - 1, firstPosition',
      },
    ],
    killers: [...seeds, { by: 'test', folder, file: 'reclaiming.test.ts', test: 'of a log of which nine tenths are hidden' }],
  },
  {
    name: 'reclaimed-before-every-voter-has-it',
    breaks: 'what some voter has not flushed stays',
    patches: [
      {
        file: `${folder}/src/reclaim/start-reclaiming.ts`,
        find: 'Math.min(machine.ticks.reclaimable(), log.space.unneededThrough(), machine.flushed())',
        replace: 'Math.min(log.space.unneededThrough(), machine.flushed())',
      },
    ],
    killers: [{ by: 'test', folder, file: 'reclaim-bound.test.ts', test: 'nothing is given back that some voter has not flushed' }],
  },
]
