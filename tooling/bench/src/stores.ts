import { findNats } from '@synod/servers'
import { startEmmett } from './emmett-store.ts'
import { startEtcd } from './etcd-store.ts'
import { startJetstream } from './jetstream-store.ts'
import { startSynodStore } from './synod-store.ts'
import type { RunningStore, StoreKey } from './target.ts'

/** What can be measured: how it starts, and the keys of the targets that it brings. */
export interface StoreStart {
  readonly name: string
  readonly keys: readonly StoreKey[]
  /** @throws ServerError `nats_not_found` or `etcd_not_found`: it is neither here nor to be fetched */
  start(signal: AbortSignal): Promise<RunningStore>
}

export const stores: readonly StoreStart[] = [
  {
    name: 'Synod over TCP, three nodes with a Postgres each',
    keys: ['synod', 'synod-http'],
    start: (signal) => startSynodStore('tcp', signal),
  },
  {
    name: 'Synod over NATS, three nodes with a Postgres each and one nats-server',
    keys: ['synod-nats'],
    async start(signal) {
      await findNats()
      return startSynodStore('nats', signal)
    },
  },
  { name: 'JetStream R3, three nats-servers', keys: ['jetstream'], start: startJetstream },
  { name: 'etcd, three servers', keys: ['etcd'], start: startEtcd },
  { name: 'Emmett on one Postgres', keys: ['emmett'], start: startEmmett },
]
