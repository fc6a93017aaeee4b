/** The planted faults: each fits the product as it is now, the quickest dozen is noticed, and what would be missed is said. */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { availableParallelism } from 'node:os'
import {
  canaries,
  faults,
  faultsNotYet,
  isSound,
  patchedText,
  PatchError,
  resultText,
  runMutants,
  type Tried,
} from '@synod/simulator/mutants'
import { describe, expect, test } from 'vitest'

const root = new URL('../../../', import.meta.url)

/** Of all layers and all kinds of killers. */
const quickest = [
  'vote-not-persisted',
  'own-value-over-an-accepted-one',
  'no-op-over-an-accepted-value',
  'acknowledge-on-the-own-copy',
  'acknowledge-before-sync',
  'send-before-sync',
  'acknowledge-at-a-minority',
  'reads-what-is-not-decided',
  'stale-read',
  'applied-out-of-order',
  'session-table-not-replicated',
  'cluster-unchecked',
  'hand-over-skips-one',
  'wiped-node-votes',
  'atomic-append-split',
  'undecided-event-shown',
  'stale-acknowledgement-accepted',
  'reclaim-resurrects',
]

describe('the list', () => {
  test('has more than twenty faults that can be planted, and thirty with those that cannot be yet', () => {
    expect(faults.length).toBeGreaterThanOrEqual(22)
    expect(faults.length + faultsNotYet.length).toBeGreaterThanOrEqual(30)
    const names = [...faults, ...canaries, ...faultsNotYet].map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { patches, killers } of [...faults, ...canaries]) expect(Math.min(patches.length, killers.length)).toBeGreaterThan(0)
  })

  test('each patch fits the text as it is, and leaves text that can be read', () => {
    const misfits: string[] = []
    for (const { name, patches } of [...faults, ...canaries]) {
      for (const file of new Set(patches.map((patch) => patch.file))) {
        try {
          stripTypeScriptTypes(patchedText(file, readFileSync(new URL(file, root), 'utf8'), patches))
        } catch (error) {
          misfits.push(`${name}: ${String(error)}`)
        }
      }
    }
    expect(misfits).toEqual([])
  })

  test('stands in docs/planted-faults.md, and nothing else does', () => {
    const page = readFileSync(new URL('docs/planted-faults.md', root), 'utf8')
    const named = [...page.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name]) => name)
    expect(new Set(named)).toEqual(new Set([...faults, ...faultsNotYet].map(({ name }) => name)))
    expect(named).toHaveLength(faults.length + faultsNotYet.length)
  })
})

describe('a patch', () => {
  const patch = { file: 'a.ts', find: 'x > y', replace: 'x >= y' }

  test('replaces its text in its file', () => {
    expect(patchedText('a.ts', 'if (x > y) z()', [patch])).toBe('if (x >= y) z()')
    expect(patchedText('b.ts', 'if (x > y) z()', [patch])).toBe('if (x > y) z()')
  })

  test.each(['if (x < y) z()', 'x > y; x > y'])('that does not fit %j is an error that names the file', (text) => {
    expect(() => patchedText('a.ts', text, [patch])).toThrow(PatchError)
    expect(() => patchedText('a.ts', text, [patch])).toThrow(/must stand in a\.ts once and stands there [02] times/)
  })
})

describe('the harness', () => {
  test('notices the quickest dozen of faults and the canary, by each of their killers, and nothing in the product as it is', async () => {
    const result = await runMutants({ names: quickest, lanes: Math.min(2, availableParallelism()) })
    console.log(resultText(result, faultsNotYet))
    const missed = [
      ...result.tried.filter(({ trial }) => trial?.isKilled !== true),
      ...result.unpatched.filter(({ trial }) => trial?.isKilled !== false),
    ]
    expect(missed).toEqual([])
    expect(isSound(result)).toBe(true)
  }, 240_000)

  test('says so when a fault survives, when one cannot be tried, and when the product as it is is accused', () => {
    const tried = (isKilled: boolean): Tried => ({
      fault: 'some-fault',
      killer: 'simulator, basic',
      seconds: 1,
      trial: { isKilled, count: 3, unit: 'seeds', what: '' },
    })
    const { fault: _, ...unpatched } = tried(false)
    const good = { tried: [tried(true)], unpatched: [unpatched], seconds: 1 }
    expect(isSound(good)).toBe(true)
    const survived = { ...good, tried: [tried(true), tried(false)] }
    expect(isSound(survived)).toBe(false)
    expect(resultText(survived, [])).toMatch(/^SURVIVOR {2}some-fault/m)
    const { trial: __, ...untried } = tried(true)
    expect(isSound({ ...good, tried: [{ ...untried, error: 'the patch itself is broken' }] })).toBe(false)
    const accused = {
      ...good,
      unpatched: [{ ...unpatched, trial: { isKilled: true, count: 3, unit: 'seeds' as const, what: 'lost: c1.1' } }],
    }
    expect(isSound(accused)).toBe(false)
    expect(resultText(accused, [])).toMatch(/^FALSE ALARM {2}the product as it is/m)
  })
})
