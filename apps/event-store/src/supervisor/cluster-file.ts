/**
 * `<data>/cluster.json`: what cluster a data folder holds. A cluster is `founding` until every store has its genesis record, and
 * no node runs before it is `founded`; from then on nobody founds here again, so a store that was wiped stays wiped and a node
 * without its promises never votes (design.md, rule 8).
 */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { StartError } from './start-error.ts'

const clusterSchema = z.strictObject({
  version: z.literal(1),
  state: z.enum(['founding', 'founded']),
  cluster: z.string(),
  protocol: z.string(),
  protocolOptions: z.record(z.string(), z.unknown()),
  nodes: z.array(z.strictObject({ id: z.string(), incarnation: z.string(), transportPort: z.int() })).min(1),
})

export type ClusterFile = z.infer<typeof clusterSchema>

export interface WantedCluster {
  /** Undefined: whatever is there, three in a new cluster. */
  readonly nodes: number | undefined
  /** Undefined: whatever is there, Multi-Paxos in a new cluster. */
  readonly consensus: { readonly package: string; readonly options: Readonly<Record<string, unknown>> } | undefined
}

const nodesDefault = 3
const consensusDefault = { package: '@synod/consensus-paxos', options: { mode: 'multi' } }

/** What is there, if it is what is wanted, or a new one in state `founding`, not yet written. @throws StartError */
export function openClusterFile(data: string, wanted: WantedCluster): ClusterFile {
  const path = join(data, 'cluster.json')
  if (existsSync(path)) {
    const found = parse(path)
    refuseOther(data, found, wanted)
    return found
  }
  // A database without the record of its cluster: founding another one over it could let it forget what it promised.
  const orphan = Array.from({ length: 15 }, (_, index) => join(data, `n${index + 1}`, 'postgres')).find((folder) => existsSync(folder))
  if (orphan !== undefined) {
    throw new StartError(`${orphan} is there, ${path} is not: restore that file, or name another folder with SYNOD_DATA`)
  }
  const { package: protocol, options: protocolOptions } = wanted.consensus ?? consensusDefault
  const draw = (): string => randomBytes(16).toString('hex')
  const nodes = Array.from({ length: wanted.nodes ?? nodesDefault }, (_, index) => ({
    id: `n${index + 1}`,
    incarnation: draw(),
    transportPort: 0,
  }))
  return { version: 1, state: 'founding', cluster: draw(), protocol, protocolOptions, nodes }
}

/** Durable when it returns: written aside, synced, renamed, and the folder synced too. */
export function writeClusterFile(data: string, file: ClusterFile): void {
  const path = join(data, 'cluster.json')
  const aside = `${path}.new`
  const descriptor = openSync(aside, 'w', 0o644)
  writeFileSync(descriptor, `${JSON.stringify(file, undefined, 2)}\n`)
  fsyncSync(descriptor)
  closeSync(descriptor)
  renameSync(aside, path)
  if (process.platform === 'win32') return // a folder cannot be opened there
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function parse(path: string): ClusterFile {
  try {
    return clusterSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (cause) {
    throw new StartError(`${path} is damaged or of another version: restore it, or name another folder with SYNOD_DATA`, { cause })
  }
}

function refuseOther(data: string, found: ClusterFile, wanted: WantedCluster): void {
  const is = `${data} holds a cluster of ${found.nodes.length} nodes with ${consensusText(found.protocol, found.protocolOptions)}`
  const help = 'leave the option out, or name another folder with SYNOD_DATA'
  if (wanted.nodes !== undefined && wanted.nodes !== found.nodes.length) {
    throw new StartError(`${is}, not of ${wanted.nodes} (--nodes): ${help}`)
  }
  if (wanted.consensus === undefined) return
  const asked = consensusText(wanted.consensus.package, wanted.consensus.options)
  if (asked !== consensusText(found.protocol, found.protocolOptions))
    throw new StartError(`${is}, not with ${asked} (--consensus, --paxos): ${help}`)
}

function consensusText(name: string, options: Readonly<Record<string, unknown>>): string {
  const sorted = Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `${name} ${JSON.stringify(Object.fromEntries(sorted))}`
}
