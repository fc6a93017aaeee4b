import { temporaryPostgres } from '@synod/servers'
import { postgresLogStore } from '@synod/log-postgres'
import pg from 'pg'
import { randomBytes } from 'node:crypto'
const server = await temporaryPostgres()
const store = postgresLogStore({ connectionString: server.connectionString })
await store.open('n1')
let index = 1
const header = randomBytes(24)
async function bench(label: string, outstanding: number, size: number, seconds: number) {
  const entry = randomBytes(size)
  const lat: number[] = []
  const before = store.counters()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + seconds * 1000
  const w = async () => {
    while (performance.now() < end) {
      const t = performance.now()
      const i = index++
      await store.write([{ op: 'slot', epoch: 1, index: i, header, entry }, { op: 'decidedThrough', epoch: 1, index: Math.max(0, i - 64) }])
      lat.push(performance.now() - t)
    }
  }
  await Promise.all(Array.from({ length: outstanding }, w))
  const s = (performance.now() - start) / 1000
  const u = process.cpuUsage(cpu)
  lat.sort((a, b) => a - b)
  const after = store.counters()
  console.log(label, `outstanding ${outstanding} size ${size}: ${(lat.length / s).toFixed(0)} writes/s, ${((after.transactions! - before.transactions!) / s).toFixed(0)} tx/s, ${(lat.length * size / s / 1e6).toFixed(1)} MB/s p50 ${lat[lat.length >> 1]!.toFixed(2)} ms p99 ${lat[Math.floor(lat.length * 0.99)]!.toFixed(2)} ms; node cpu ${((u.user + u.system) / lat.length).toFixed(0)} us/write`)
}
// bare reference: a one-row insert + commit on pg
const c = new pg.Client({ connectionString: server.connectionString }); await c.connect()
await c.query('create table ref (id bigint primary key, v bytea)')
{ const lat: number[] = []; const e = performance.now() + 2000; let i = 0; const v = randomBytes(256)
  while (performance.now() < e) { const t = performance.now(); await c.query({ name: 'x', text: 'insert into ref values ($1,$2)', values: [i++, v] }); lat.push(performance.now() - t) }
  lat.sort((a, b) => a - b); console.log(`bare insert: ${lat.length / 2}/s p50 ${lat[lat.length >> 1]!.toFixed(2)}`) }
await c.end()
await bench('warm', 8, 256, 1)
await bench('', 1, 256, 3)
await bench('', 64, 256, 3)
await bench('', 1, 65536, 3)
await bench('', 8, 65536, 3)
await bench('', 64, 4096, 3)
const t = performance.now(); let n = 0, b = 0
for await (const batch of store.read(1, 1, index)) { n += batch.length; for (const r of batch) b += r.entry.length }
console.log(`read ${n} slots ${(b/1e6).toFixed(0)} MB in ${(performance.now() - t).toFixed(0)} ms`)
const t2 = performance.now()
await store.slices(Array.from({ length: 20000 }, (_, k) => ({ epoch: 1, index: 1 + (k % 5000), offset: 10, length: 200 })))
console.log(`20000 slices ${(performance.now() - t2).toFixed(0)} ms`)
await store.close(); await server.remove()
