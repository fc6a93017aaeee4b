import { randomRun } from './random-runs.ts'
import { Simulation } from './simulation.ts'
const [, , seed, mode, from] = process.argv
const log: string[] = []
const proto = Simulation.prototype as any
const origRun = proto.run
let sim: any
proto.run = function (ms: number, until: any) { if (sim !== this) { sim = this; const d = this.drop; this.drop = (p: any) => { log.push(`${this.now.toFixed(0)} ${p.from}>${p.to} ${JSON.stringify(p.message, (k, v) => v instanceof Uint8Array ? new TextDecoder().decode(v) : v && v.round !== undefined && v.node !== undefined ? `${v.round}.${v.node}.${v.boot}` : v)}`); return d(p) } } return origRun.call(this, ms, until) }
import { LabNode } from './lab-node.ts'
const L = LabNode.prototype as any; const os = L.step; L.step = function (i: any) { if (i.kind==='learn') log.push(`learn ${this.id} ${i.index} D=${this.delivered}`); return os.call(this, i) }
const osv = L.serve; L.serve = function (a: any, b: any) { const r = osv.call(this, a, b); log.push(`serve ${this.id} ${a}..${b} -> ${r.length}`); return r }
try { randomRun(Number(seed), mode as any) } catch (error) { console.log((error as Error).message) }
for (const node of sim.nodes.values()) console.log(node.id, node.core ? 'up' : 'down', node.delivered, node.role, [...node.slots.keys()].filter((k: number) => k > node.decidedThrough), node.traces.slice(-8), node.core?.digest().slice(0, 1500))
console.log(log.slice(-Number(from ?? 60)).join('\n'))
