import { EventStoreError } from '../event-store-error.ts'
import type { ConsumerGroups, GroupConsumer, GroupStatus, ParkedEvent } from './consumer-groups.ts'

const unbuilt = (): EventStoreError => new EventStoreError('unavailable', 'being built')

export class StoreGroups implements ConsumerGroups {
  put(): Promise<GroupStatus> {
    return Promise.reject(unbuilt())
  }
  delete(): Promise<void> {
    return Promise.reject(unbuilt())
  }
  get(): Promise<GroupStatus> {
    return Promise.reject(unbuilt())
  }
  list(): Promise<readonly GroupStatus[]> {
    return Promise.reject(unbuilt())
  }
  parked(): Promise<readonly ParkedEvent[]> {
    return Promise.reject(unbuilt())
  }
  replay(): Promise<{ readonly replayed: number }> {
    return Promise.reject(unbuilt())
  }
  consume(): GroupConsumer {
    throw unbuilt()
  }
}
