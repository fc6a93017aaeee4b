import { EventStoreError } from '../event-store-error.ts'
import type { StreamMetadataState, StreamRetention } from './stream-retention.ts'

const unbuilt = (): EventStoreError => new EventStoreError('unavailable', 'being built')

export class StoreRetention implements StreamRetention {
  setMetadata(): Promise<StreamMetadataState> {
    return Promise.reject(unbuilt())
  }
  metadata(): Promise<StreamMetadataState> {
    return Promise.reject(unbuilt())
  }
  delete(): Promise<StreamMetadataState> {
    return Promise.reject(unbuilt())
  }
}
