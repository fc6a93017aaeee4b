/**
 * The composition root: the one file that knows that adapters exist. Each is found by the name in the configuration, and seen
 * only through its port from here on.
 */
import { randomBytes } from 'node:crypto'
import { createEventMachine, openEventStore, startReclaiming, startTicking, type EventStore, type ReadSideFactory } from '@synod/events'
import { hostProtocol, type ProtocolFactory } from '@synod/consensus'
import {
  openVirtualLog,
  type Genesis,
  type LogletFactory,
  type LogStore,
  type LogStoreFactory,
  type LogStoreOptions,
  type OrderedLog,
  type VirtualLogOptions,
} from '@synod/log'
import { systemScheduler, type NodeId, type TransportFactory, type TransportOptions } from '@synod/transport'
import { ConfigError } from './config/config-error.ts'
import { loadPackage } from './config/load-package.ts'
import type { NodeConfig, PackageConfig } from './config/node-config.ts'

export interface ComposedNode {
  readonly log: Pick<OrderedLog<unknown>, 'status'>
  /** Absent in a node whose store was wiped, or is not its own: there is nothing to answer from. */
  readonly events?: EventStore
  counters(): NodeCounters
  onStatus(listener: () => void): void
  stepDown(): Promise<void>
  close(): Promise<void>
}

type Counters = Readonly<Record<string, number>>

/** What the packages of a node count and hold, each under its own names. */
export interface NodeCounters {
  readonly log: Counters
  readonly store: Counters
  readonly transport: Counters
  /** Empty where the transport does not tell. */
  readonly peers: ReadonlyMap<NodeId, Counters>
  /** The machine and its read side. */
  readonly machine: Counters
  /** Empty in a node that takes no part. */
  readonly events: Counters
}

export interface NodeEvents {
  /** A broken invariant or a dead store; the process should end. Called at most once. */
  readonly onFailure: (error: Error) => void
  /** What an operator should know. */
  readonly warn: (message: string, from: 'store' | 'transport') => void
  readonly onLink?: TransportOptions['onLink']
  readonly onCommit?: LogStoreOptions['onCommit']
  readonly onBatch?: VirtualLogOptions<unknown>['onBatch']
}

/** Opens everything. Rejects with a ConfigError, StoreError, LogError, TransportError or ReadSideError, and then nothing is open. */
export async function composeNode(config: NodeConfig, configFile: string, told: NodeEvents): Promise<ComposedNode> {
  const { onFailure, warn, onLink, onCommit, onBatch } = told
  const store = await createStore(config, configFile, {
    warn: (message) => warn(message, 'store'),
    ...(onCommit !== undefined && { onCommit }),
  })
  const readSideFactory = (await loadPackage(config.readSide.package, ['readSide'], configFile)).value as ReadSideFactory
  const transportFactory = (await loadPackage(config.transport.package, ['transport'], configFile)).value as TransportFactory
  const transport = await transportFactory.open({
    self: config.id,
    addresses: new Map(Object.entries(config.peers).map(([id, { address }]) => [id, address])),
    options: config.transport.options,
    warn: (message) => warn(message, 'transport'),
    ...(onLink !== undefined && { onLink }),
  })
  try {
    const machine = createEventMachine({ readSide: readSideFactory.create({ options: config.readSide.options }), onFailure })
    const log = await openVirtualLog({
      self: config.id,
      cluster: config.cluster,
      store,
      transport,
      machine,
      scheduler: systemScheduler,
      nonce: randomBytes(6).readUIntBE(0, 6),
      loadLoglet: (protocol, options) => loadLoglet(protocol, options, configFile),
      onFailure,
      ...(onBatch !== undefined && { onBatch }),
    })
    const { state } = log.status()
    const events = state === 'wiped' || state === 'foreign' ? undefined : openEventStore({ log, machine, node: config.id })
    const reclaiming = events && startReclaiming({ log, machine, warn: (message) => warn(message, 'store') })
    const ticking = events && startTicking({ log, machine, self: config.id, voters: () => Object.keys(config.peers) })
    return {
      log,
      ...(events !== undefined && { events }),
      counters: () => ({
        log: log.counters(),
        store: store.counters(),
        transport: transport.counters(),
        peers: transport.peerCounters?.() ?? new Map(),
        machine: machine.counters(),
        events: { ...events?.counters(), ...ticking?.counters(), ...reclaiming?.counters() },
      }),
      onStatus: (listener) => log.onStatus(listener),
      stepDown: () => log.stepDown(),
      async close() {
        ticking?.stop()
        await reclaiming?.stop()
        await events?.close()
        await log.close()
      },
    }
  } catch (error) {
    await transport.close()
    await store.close()
    throw error
  }
}

/** Writes the genesis record into the store of one node. @throws ConfigError, StoreError `already_founded` */
export async function foundStore(config: NodeConfig, configFile: string): Promise<void> {
  // It loads, and takes these options: the node would find out too late.
  await loadLoglet(config.consensus.package, JSON.stringify(config.consensus.options), configFile)
  const voters = Object.entries(config.peers)
    .map(([node, { incarnation }]) => {
      if (incarnation !== undefined) return { node, incarnation }
      throw new ConfigError(
        'config_invalid',
        `${configFile}: peers.${node}.incarnation is missing: draw 32 hexadecimal digits, the same in every node's file`,
      )
    })
    .toSorted((a, b) => (a.node < b.node ? -1 : 1))
  const genesis: Genesis = {
    node: config.id,
    incarnation: voters.find(({ node }) => node === config.id)?.incarnation ?? '',
    configuration: {
      cluster: config.cluster,
      epoch: 1,
      protocol: config.consensus.package,
      protocolOptions: JSON.stringify(config.consensus.options),
      voters,
    },
  }
  const store = await createStore(config, configFile)
  try {
    await store.found(genesis)
  } finally {
    await store.close()
  }
}

/** Do they load, and does the protocol take its options? @throws ConfigError */
export async function checkPackages(consensus: PackageConfig, transport: string, fromFile: string): Promise<void> {
  await loadLoglet(consensus.package, JSON.stringify(consensus.options), fromFile)
  await loadPackage(transport, ['transport'], fromFile)
}

async function createStore(config: NodeConfig, configFile: string, told: Omit<LogStoreOptions, 'options'> = {}): Promise<LogStore> {
  const factory = (await loadPackage(config.store.package, ['store'], configFile)).value as LogStoreFactory
  return factory.create({ options: config.store.options, ...told })
}

/** A consensus package exports a pure core under the name `protocol`, or a loglet of its own under the name `loglet`. */
async function loadLoglet(name: string, optionsText: string, configFile: string): Promise<LogletFactory> {
  const { name: exported, value } = await loadPackage(name, ['loglet', 'protocol'], configFile)
  const options: unknown = JSON.parse(optionsText)
  try {
    if (exported === 'loglet') return (value as (options: unknown) => LogletFactory)(options)
    return hostProtocol((value as ProtocolFactory<unknown>)(options))
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new ConfigError('config_invalid', `consensus package ${name} refuses its options ${optionsText}: ${cause.message}`, { cause })
  }
}
