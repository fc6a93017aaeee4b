import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { bySize, checkIntersection, majority, QuorumError, type Quorums } from '@synod/consensus/quorums'

const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `n${at}`)

/** All subsets, one after the other: slow, and plainly right. */
function subsets(members: readonly string[]): Set<string>[] {
  return members.reduce<Set<string>[]>((all, member) => [...all, ...all.map((set) => new Set([...set, member]))], [new Set()])
}

/** The definition: every phase-1 quorum has a member in common with every phase-2 quorum. */
function meets(quorums: Quorums): boolean {
  const all = subsets(quorums.members)
  return all
    .filter((first) => quorums.phase1(first))
    .every((first) => all.filter((second) => quorums.phase2(second)).every((second) => [...first].some((node) => second.has(node))))
}

function isAccepted(quorums: Quorums): boolean {
  try {
    quorums.check()
    return true
  } catch (error) {
    if (error instanceof QuorumError) return false
    throw error
  }
}

test.each([1, 2, 3, 4, 5, 6, 7])('majorities of %i meet, and none of them is one member smaller', (count) => {
  const quorums = majority(names(count))
  quorums.check()
  expect(meets(quorums)).toBe(true)
  const size = Math.floor(count / 2) + 1
  expect(quorums.phase1(new Set(names(size)))).toBe(true)
  expect(quorums.phase2(new Set(names(size)))).toBe(true)
  expect(quorums.phase1(new Set(names(size - 1)))).toBe(false)
  expect(quorums.phase2(new Set(names(size - 1)))).toBe(false)
})

describe('by size', () => {
  const cases = [1, 2, 3, 4, 5, 6].flatMap((count) =>
    Array.from({ length: count }, (_, first) =>
      Array.from({ length: count }, (_unused, second) => [count, first + 1, second + 1] as const),
    ).flat(),
  )

  test.each(cases)('of %i, %i and %i are accepted exactly when they must meet', (count, first, second) => {
    const quorums = bySize(names(count), first, second)
    expect(isAccepted(quorums)).toBe(meets(quorums))
    expect(isAccepted(quorums)).toBe(first + second > count)
  })

  test('an empty quorum, one that all together do not reach, and fractions are refused', () => {
    expect(() => bySize(names(3), 0, 3).check()).toThrow(QuorumError)
    expect(() => bySize(names(3), 3, 0).check()).toThrow(QuorumError)
    expect(() => bySize(names(3), 4, 2).check()).toThrow(QuorumError)
    expect(() => bySize(names(3), 2, 4).check()).toThrow(QuorumError)
    expect(() => bySize(names(4), 1.5, 2).check()).toThrow(QuorumError)
  })

  test('who is no member does not count, nor does a member twice', () => {
    const quorums = majority(['a', 'b', 'c'])
    expect(quorums.phase1(new Set(['a', 'x', 'y', 'z']))).toBe(false)
    expect(quorums.phase1(new Set(['a', 'b']))).toBe(true)
  })
})

test('any sets closed upwards are accepted exactly when they meet', () => {
  const families = fc.integer({ min: 1, max: 5 }).chain((count) => {
    const family = fc.array(fc.subarray(names(count), { minLength: 1 }), { minLength: 1, maxLength: 4 })
    return fc.tuple(fc.constant(names(count)), family, family)
  })
  fc.assert(
    fc.property(families, ([members, first, second]) => {
      const holds = (family: readonly (readonly string[])[]) => (nodes: ReadonlySet<string>) =>
        family.some((quorum) => quorum.every((node) => nodes.has(node)))
      const quorums: Quorums = { members, phase1: holds(first), phase2: holds(second), check: () => checkIntersection(quorums) }
      expect(isAccepted(quorums)).toBe(meets(quorums))
    }),
    { numRuns: 300 },
  )
})

test('a member named twice, no members and too many are refused', () => {
  expect(() => majority(['a', 'b', 'a']).check()).toThrow(/twice/)
  expect(() => majority([]).check()).toThrow(QuorumError)
  expect(() => majority(names(16)).check()).toThrow(/15/)
  expect(() => majority(names(15)).check()).not.toThrow()
})
