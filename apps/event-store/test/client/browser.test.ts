/**
 * The client in a real browser: a page at the node's own origin whose modules are the packages' sources without their types. It takes
 * a few seconds; the first time on a machine Chromium is downloaded.
 */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { Browser, type PageFile } from './chromium-page.ts'

const clone = join(import.meta.dirname, '..', '..', '..', '..')
const packages = ['client', 'client-protocol', 'event-record', 'codec']

let cluster: LocalCluster
let browser: Browser
beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 })
  browser = await Browser.start()
}, 240_000)
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await cluster?.remove()
}, 60_000)

/** `/page`, and below `/page/` the clone's TypeScript. */
function serve(path: string): PageFile | undefined {
  if (path === '/page') {
    const imports = Object.fromEntries(packages.map((name) => [`@synod/${name}`, `/page/packages/${name}/src/index.ts`]))
    const script = '/page/apps/event-store/test/client/browser-page.ts'
    const text = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script><script type="module" src="${script}"></script>`
    return { type: 'text/html; charset=utf-8', text }
  }
  if (!path.startsWith('/page/') || !path.endsWith('.ts')) return undefined
  return {
    type: 'text/javascript; charset=utf-8',
    text: stripTypeScriptTypes(readFileSync(join(clone, path.slice('/page/'.length)), 'utf8')),
  }
}

/** Calls a function of browser-page.ts, once the page has loaded it. */
async function run(origin: string, name: string): Promise<unknown> {
  const page = await browser.open(`${origin}/page`, serve)
  await page.evaluate(`new Promise((resolve) => {
    const look = () => (globalThis.${name} === undefined ? setTimeout(look, 20) : resolve())
    look()
  })`)
  return page.evaluate(`${name}(${JSON.stringify(cluster.url('n1'))})`)
}

test('appends, reads and follows in a page of the node’s origin', { timeout: 60_000 }, async () => {
  const origin = cluster.url('n1')
  const upTo = (last: number): number[] => Array.from({ length: last + 1 }, (_, n) => n)
  const answer = (await run(origin, 'appendReadAndFollow')) as { read: number[]; followed: number[]; frames: number }
  expect(answer).toMatchObject({
    origin,
    first: ['0', '1'],
    revisions: upTo(300).slice(1),
    conflict: '300',
    text: 'grüße 🎉',
    tags: ['page'],
    ended: 'enough',
  })
  expect(answer.read.toSorted((a, b) => a - b)).toEqual(upTo(300))
  expect(answer.followed).toEqual(answer.read)
  expect(answer.frames).toBeLessThan(30)
})

test('a page of another origin does not reach the node', { timeout: 60_000 }, async () => {
  expect(await run('http://elsewhere.example', 'isRefused')).toEqual({ code: 'unavailable', outcomeUnknown: false })
})
