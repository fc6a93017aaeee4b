import { openVirtualLog, type Genesis, type OrderedLog, type VirtualLogLimits } from '@synod/log'
import { MemoryDisk, memoryLogStore } from '@synod/log/memory'
import { systemScheduler } from '@synod/transport'
import { memoryNetwork } from '@synod/transport/memory'
import { ListMachine, type ListDisk } from './list-machine.ts'
import type { Sequencer } from './sequencer.ts'

export interface NodeDisks {
  readonly log: MemoryDisk
  readonly list: ListDisk
}

export interface TestNode {
  readonly log: OrderedLog<number>
  readonly machine: ListMachine
  readonly failures: Error[]
}

export const genesis: Genesis = {
  node: 'n1',
  incarnation: 'ab'.repeat(16),
  configuration: {
    cluster: 'cd'.repeat(16),
    epoch: 1,
    protocol: 'sequencer',
    protocolOptions: '{}',
    voters: [{ node: 'n1', incarnation: 'ab'.repeat(16) }],
  },
}

export function emptyDisks(): NodeDisks {
  return { log: new MemoryDisk(), list: { slot: 0, list: [], answers: [] } }
}

/** A node of its own network on these disks; founded unless it is to be a wiped one. */
export async function openNode(
  sequencer: Sequencer,
  disks: NodeDisks,
  {
    limits = {},
    founded = true,
    cluster,
  }: { readonly limits?: Partial<VirtualLogLimits>; readonly founded?: boolean; readonly cluster?: string } = {},
): Promise<TestNode> {
  const store = memoryLogStore(disks.log)
  if (founded) await store.found(genesis)
  const machine = new ListMachine(disks.list)
  const failures: Error[] = []
  const log = await openVirtualLog<number>({
    self: 'n1',
    store,
    transport: memoryNetwork().transport('n1', ['n1']),
    loadLoglet: async () => sequencer.factory(),
    machine,
    scheduler: systemScheduler,
    nonce: Math.floor(Math.random() * 2 ** 48),
    limits,
    onFailure: (error) => failures.push(error),
    ...(cluster === undefined ? {} : { cluster }),
  })
  return { log, machine, failures }
}
