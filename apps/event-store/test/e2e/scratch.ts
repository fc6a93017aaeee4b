import { startNats } from '@synod/servers'
import { LocalCluster } from '@synod/event-store'
import { appendInBackground, readEverywhere, requireAcknowledged } from './client.ts'
import { HalfOpenProxy } from '../../../../packages/transport-nats/test/half-open-proxy.ts'
import { setTimeout as sleep } from 'node:timers/promises'
let nats = await startNats()
const proxy = await HalfOpenProxy.to(nats.port)
const mode = process.argv[2] ?? 'multi'
const cluster = new LocalCluster({ arguments: ['--transport', 'nats', '--paxos', mode], environment: { NATS_URL: `nats://127.0.0.1:${proxy.port}` } })
await cluster.start()
const bg = appendInBackground(cluster, 8, 'x')
const more = (n: number) => { const f = bg.acknowledged.length; return cluster.until('more', 30000, () => bg.acknowledged.length >= f + n ? true : undefined) }
async function back(name: string, how: () => Promise<void> | void) {
  const t = performance.now(); const from = bg.acknowledged.length
  await how()
  const up = performance.now()
  while (bg.acknowledged.length === from) await sleep(2)
  console.log(name, 'ms after return', Math.round(performance.now() - up), 'start took', Math.round(up - t))
  await more(50)
}
await more(50)
for (let round = 0; round < 2; round++) {
  process.kill(nats.pid, 'SIGSTOP'); await sleep(8000); await back('stopped', () => void process.kill(nats.pid, 'SIGCONT'))
  proxy.swallow(); await sleep(8000); await back('half-open', () => proxy.heal())
  await nats.kill(); await sleep(8000); await back('killed', async () => { nats = await startNats({ port: nats.port }) })
}
await bg.stop()
requireAcknowledged(await readEverywhere(cluster), bg.acknowledged)
console.log('ok', bg.acknowledged.length)
await cluster.remove(); proxy.close(); await nats.stop()
