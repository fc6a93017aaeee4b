import { createServer } from 'node:net'
import { Browser } from './chromium-page.ts'
const s = createServer((c) => { console.log('conn'); c.on('data', (d) => console.log(String(d))); c.on('close', () => console.log('closed')); c.on('error', console.log) })
s.listen(0, '127.0.0.1', async () => {
  const o = `http://127.0.0.1:${(s.address() as any).port}`
  const b = await Browser.start()
  const p = await b.open(`http://elsewhere.example/page`, (path) => { console.log('serve', path); return { type: 'text/html', text: '<p>hi' } })
  await new Promise((r) => setTimeout(r, 500))
  console.log(await p.evaluate(`new Promise(r => { const w = new WebSocket('${o.replace('http', 'ws')}/connection', 'synod.v1'); w.onopen = () => r('open'); w.onerror = () => r('error'); setTimeout(() => r('nothing'), 4000) })`), p.problems)
  await b[Symbol.asyncDispose]()
  process.exit()
})
