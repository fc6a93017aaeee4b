/**
 * The replicated state of groups against a model as plain as can be, command by command: what is open, settled, parked; that what is
 * stale changes nothing, however often it comes; and that a machine that was started again on an earlier flush, and given the
 * commands after it again, is the same machine. Assignments are checked by what they promise, not by how they are made.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Cell } from '@synod/events'
import type { CommandAt, Envelope } from '@synod/log'
import { definitionParts } from '../src/groups/group-definition.ts'
import { GroupPart } from '../src/groups/group-part.ts'
import type { GroupCommand, SettledPart } from '../src/groups/group-command.ts'
import type { GroupVerdict } from '../src/groups/group-verdict.ts'
import type { GroupView } from '../src/groups/group-state.ts'
import type { PartitionView } from '../src/groups/partition-state.ts'

const partitions = 5
const events = 40
const attemptsMax = 3
const parkedMax = 6
const group = 'g'
const definition = definitionParts({ partitions, attemptsMax, parkedMax })
const positionsOf = (partition: number): number[] =>
  Array.from({ length: events }, (_, at) => at + 1).filter((at) => at % partitions === partition)
const keyOf = (position: number): string => (position % 7).toString(16).padStart(16, '0')

/** What a flush would hold, and the commands after it. */
class Replica {
  cells = new Map<string, Cell>()
  part: GroupPart
  #flushed = new Map<string, Cell>()
  #since: { readonly command: GroupCommand; readonly slot: number }[] = []

  constructor() {
    this.part = this.#make()
  }

  apply(command: GroupCommand, slot: number): GroupVerdict {
    this.#since.push({ command, slot })
    return this.#judge(command, slot)
  }

  flush(): void {
    this.#flushed = new Map(this.cells)
    this.#since = []
  }

  /** Set back to the last flush, and brought forward. */
  async restart(): Promise<void> {
    this.cells = new Map(this.#flushed)
    this.part = this.#make()
    await this.part.open()
    for (const { command, slot } of this.#since) this.#judge(command, slot)
  }

  #judge(command: GroupCommand, slot: number): GroupVerdict {
    const { verdict } = this.part.judge({} as Envelope, command, { slot } as CommandAt)
    if (verdict.kind !== 'group') throw new Error(`a verdict of kind ${verdict.kind}`)
    return verdict.group
  }

  #make(): GroupPart {
    const readSide = {
      cells: (prefix: string, after: string, limit: number) =>
        Promise.resolve(
          [...this.cells.values()]
            .filter(({ key }) => key.startsWith(prefix) && key > after)
            .toSorted((a, b) => (a.key < b.key ? -1 : 1))
            .slice(0, limit),
        ),
    }
    const cell = (key: string, value: Cell['value']): void =>
      void (value === null ? this.cells.delete(key) : this.cells.set(key, { key, value }))
    return new GroupPart(readSide, { cell }, () => events)
  }
}

type Place = 'open' | 'settled' | 'parked'

class Model {
  readonly places = new Map<number, Place>(Array.from({ length: events }, (_, at) => [at + 1, 'open']))
  readonly attempts = new Map<number, number>()
  /** Replayed and not settled since: these keep their place among what is set aside. */
  readonly replayed = new Set<number>()
  readonly acknowledged = new Set<number>()

  get setAside(): number {
    return [...this.places.values()].filter((place) => place === 'parked').length + this.replayed.size
  }

  settle({ partition, through, settled, failures }: SettledPart): void {
    for (const position of settled) this.#done(position, 'settled')
    for (const { position, attempt, parks } of failures) {
      if (this.places.get(position) !== 'open') continue
      const attempts = Math.max(attempt, this.attempts.get(position) ?? 0)
      if (!parks && attempts < attemptsMax) this.attempts.set(position, attempts)
      else if (this.replayed.has(position) || this.setAside < parkedMax) this.#done(position, 'parked')
      else if (attempts > 0) this.attempts.set(position, attempts)
    }
    for (const position of positionsOf(partition)) if (position <= through && !this.replayed.has(position)) this.#done(position, 'settled')
  }

  #done(position: number, place: Place): void {
    if (this.places.get(position) !== 'open') return
    this.places.set(position, place)
    this.attempts.delete(position)
    this.replayed.delete(position)
    if (place === 'settled') this.acknowledged.add(position)
  }

  replay(wanted: readonly number[] | undefined): number {
    let count = 0
    for (const [position, place] of this.places) {
      if (place !== 'parked' || (wanted !== undefined && !wanted.includes(position))) continue
      this.places.set(position, 'open')
      this.replayed.add(position)
      count++
    }
    return count
  }
}

/** What an honest node would say of its partition: some events answered, the rest left. */
function honestPart(model: Model, partition: number, number: number, dice: () => number): SettledPart {
  const open = positionsOf(partition).filter((position) => model.places.get(position) === 'open')
  const settled: number[] = []
  const failures: { position: number; attempt: number; key: string; parks: boolean; reason: string }[] = []
  let through = 0
  let isWhole = true
  for (const position of positionsOf(partition)) {
    const answer = open.includes(position) ? dice() : 0
    if (!open.includes(position)) {
      if (isWhole) through = position
    } else if (answer < 0.5) {
      settled.push(position)
      if (isWhole && !model.replayed.has(position)) through = position
    } else {
      if (!model.replayed.has(position)) isWhole = false
      const parks = answer < 0.6
      if (answer < 0.75)
        failures.push({ position, attempt: (model.attempts.get(position) ?? 0) + 1, key: keyOf(position), parks, reason: 'r' })
    }
  }
  return { number, partition, through, settled, failures }
}

/** Each event in a word. */
function told(view: GroupView): string {
  const words: string[] = []
  for (let position = 1; position <= events; position++) {
    const { parked, attempts, ...state } = partitionOf(view, position)
    const place = parked.has(position)
      ? `parked ${parked.get(position)?.key}`
      : state.isOpen
        ? `open ${attempts.get(position) ?? 0}`
        : 'settled'
    words.push(`${position} ${place}`)
  }
  return words.join(', ')
}

function partitionOf(view: GroupView, position: number): Pick<PartitionView, 'parked' | 'attempts'> & { readonly isOpen: boolean } {
  const state = view.partition(position % partitions)
  return { parked: state.parked, attempts: state.attempts, isOpen: state.isOpen(position) }
}

function expected({ places, attempts }: Model): string {
  const word = {
    open: (at: number) => `open ${attempts.get(at) ?? 0}`,
    settled: () => 'settled',
    parked: (at: number) => `parked ${keyOf(at)}`,
  }
  return [...places].map(([position, place]) => `${position} ${word[place](position)}`).join(', ')
}

function checkAgainst(view: GroupView, model: Model): void {
  expect(told(view)).toBe(expected(model))
  expect(view.setAside).toBe(model.setAside)
  expect(view.parked).toBe([...model.places.values()].filter((place) => place === 'parked').length)
  for (const position of model.acknowledged)
    if (model.places.get(position) === 'parked') throw new Error(`${position} was acknowledged and is parked`)
}

/** Even; nobody who has gone; nothing moved that need not. */
function checkAssignment(view: GroupView, before: readonly (string | undefined)[]): void {
  const ids = [...view.members.keys()]
  const counts = ids.map((id) => view.owners.filter((owner) => owner === id).length)
  if (ids.length === 0) return expect(new Set(view.owners)).toEqual(new Set([undefined]))
  expect(view.owners.every((owner) => owner !== undefined && view.members.has(owner))).toBe(true)
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
  const had = ids.map((id) => before.filter((owner) => owner === id).length)
  const larger = partitions % ids.length
  const share = Math.floor(partitions / ids.length)
  // Those with most keep the larger shares: no assignment that is even keeps more.
  const kept = had.toSorted((a, b) => b - a).reduce((sum, count, at) => sum + Math.min(count, at < larger ? share + 1 : share), 0)
  expect(view.owners.filter((owner, partition) => owner === before[partition]).length - (ids.length === 0 ? partitions : 0)).toBe(kept)
}

const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join' as const), instance: fc.nat(2), number: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('leave' as const), instance: fc.nat(2), numbers: fc.array(fc.nat(3), { maxLength: 2 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('heartbeat' as const), instance: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const), instance: fc.nat(2), late: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('settle' as const), dice: fc.integer(), stale: fc.boolean(), foreign: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('replay' as const), positions: fc.option(fc.array(fc.integer({ min: 1, max: events }))) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)

function diceOf(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

test('groups say what the model says, through every command, repetition, flush and restart', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const replica = new Replica()
      const twin = new Replica()
      const model = new Model()
      let slot = 1
      let last: Extract<GroupCommand, { form: 'settle' }> | undefined
      const both = (command: GroupCommand): GroupVerdict => {
        slot++
        const verdict = replica.apply(command, slot)
        expect(twin.apply(command, slot)).toEqual(verdict)
        return verdict
      }
      both({ form: 'put', group, definition })
      for (const next of steps) {
        const view = replica.part.get(group)!
        const { generation, owners } = view
        const before = [...owners]
        switch (next.do) {
          case 'join':
            both({ form: 'join', group, instance: `i${next.instance}`, node: 'n', number: next.number, consumer: 'c' })
            break
          case 'leave':
            both({ form: 'leave', group, instance: `i${next.instance}`, numbers: next.numbers })
            break
          case 'heartbeat':
            both({ form: 'heartbeat', instance: `i${next.instance}` })
            break
          case 'expire': {
            const instance = `i${next.instance}`
            const seen = replica.part.instances().get(instance)?.seen
            const verdict = both({ form: 'expire', instance, seen: next.late ? (seen ?? 0) - 1 : (seen ?? 7) })
            const isGone = seen !== undefined && !next.late
            expect(verdict.result).toBe(isGone ? 'done' : 'stale')
            if (isGone) expect([...replica.part.get(group)!.members.values()].some((member) => member.instance === instance)).toBe(false)
            break
          }
          case 'settle': {
            const dice = diceOf(next.dice)
            const partition = Math.floor(dice() * partitions)
            const owner = view.members.get(owners[partition] ?? '')
            const instance = owner?.instance ?? 'i0'
            const part = honestPart(model, partition, next.foreign ? 9 : (owner?.number ?? 9), dice)
            const command: GroupCommand = {
              form: 'settle',
              group,
              instance,
              generation: next.stale ? generation - 1 : generation,
              parts: [part],
            }
            const verdict = both(command)
            if (next.stale) expect(verdict).toEqual({ result: 'stale', generation })
            else if (next.foreign || owner === undefined) expect(verdict).toEqual({ result: 'settled', generation, refused: [partition] })
            else {
              expect(verdict).toEqual({ result: 'settled', generation, refused: [] })
              model.settle(part)
              last = command
            }
            break
          }
          case 'repeat':
            // It arrives a second time, later: in the same generation it says nothing new, in another it is stale.
            if (last !== undefined) both(last)
            break
          case 'replay': {
            const positions = next.positions ?? undefined
            const count = model.replay(positions)
            const verdict = both({ form: 'replay', group, ...(positions !== undefined && { positions }) })
            expect(verdict).toEqual({ result: 'done', generation: generation + (count > 0 ? 1 : 0), count })
            break
          }
          case 'flush':
            replica.flush()
            break
          case 'restart':
            await replica.restart()
            break
        }
        const after = replica.part.get(group)!
        checkAgainst(after, model)
        if (['join', 'leave', 'expire'].includes(next.do)) {
          checkAssignment(after, before)
          const hasMoved = after.owners.some((owner, partition) => owner !== before[partition])
          expect(after.generation).toBe(generation + (hasMoved ? 1 : 0))
        }
      }
      await replica.restart()
      expect(replica.cells).toEqual(twin.cells)
      checkAgainst(twin.part.get(group)!, model)
      expect(new Map(replica.part.instances())).toEqual(new Map(twin.part.instances()))
      const deleted = both({ form: 'delete', group })
      expect(deleted.result).toBe('done')
      expect(replica.cells.size).toBe(0)
    }),
    { numRuns: 120 },
  )
})
