/** docs/metrics.md and the alert rules against what a node exports, both ways. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inMemory, openNode } from './one-node.ts'

const root = join(import.meta.dirname, '../../../..')
const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
const rules = readFileSync(join(root, 'deploy/prometheus/synod.rules.yaml'), 'utf8')

/** Rows of tables whose first cell is a metric: name and type. */
function documented(): Map<string, string> {
  const rows = [...page.matchAll(/^\| `([a-z0-9_]+)` \| (counter|gauge|histogram|summary) \|/gm)]
  return new Map(rows.map(([, name = '', type = '']) => [name, type]))
}

describe('the page of metrics', async () => {
  await using node = await openNode(inMemory('metrics page'))
  const families = await node.scrape()

  test('lists every name that is exported, with its type, and no other', () => {
    expect(documented().size).toBeGreaterThan(70)
    const exported = new Map([...families].map(([name, { type }]) => [name, type]))
    expect(Object.fromEntries(documented())).toEqual(Object.fromEntries(exported))
  })

  test('names every label that a metric of Synod has', () => {
    const missing = [...families].flatMap(([name, { samples }]) => {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? ''
      const labels = new Set([...samples.keys()].flatMap((sample) => [...sample.matchAll(/([a-z_]+)="/g)].map(([, label = '']) => label)))
      return name.startsWith('synod_')
        ? [...labels].filter((label) => label !== 'le' && !row.includes(`\`${label}\``)).map((label) => `${name} ${label}`)
        : []
    })
    expect(missing).toEqual([])
  })

  test('names say their unit: seconds, bytes, or a total that only grows', () => {
    const wrong = [...families].filter(
      ([name, { type }]) =>
        name.startsWith('synod_') &&
        ((type === 'counter') !== name.endsWith('_total') || /(_ms|_milliseconds|_mib|_percent)(_|$)/.test(name)),
    )
    expect(wrong.map(([name]) => name)).toEqual([])
  })

  test('alerts stand in the rules and on the page, and are built on what is exported', () => {
    const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name = '']) => name)
    const rows = [...page.matchAll(/^\| `(Synod\w+)` \| (page|ticket) \| ([^|]+)\|/gm)]
    expect(rows.map(([, name = '']) => name).toSorted()).toEqual(alerts.toSorted())
    for (const [, name = '', severity = '', builtOn = ''] of rows) {
      const rule = rules.slice(rules.indexOf(`alert: ${name}`)).split('- alert:')[0] ?? ''
      expect(rule).toContain(`severity: ${severity}`)
      for (const [, metric = ''] of builtOn.matchAll(/`(\w+)`/g)) {
        expect(rule).toContain(metric)
        expect(metric === 'up' || families.has(metric)).toBe(true)
      }
    }
    const used = [...rules.matchAll(/\bsynod_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|count|sum)$/, ''))
    expect(used.filter((name) => !families.has(name))).toEqual([])
  })
})
