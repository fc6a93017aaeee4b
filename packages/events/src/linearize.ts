import { LogError, type OrderedLog } from '@synod/log'
import type { Consistency } from './event-store.ts'
import { EventStoreError } from './event-store-error.ts'

interface ReadConsistency {
  readonly consistency: Consistency
  readonly signal?: AbortSignal
}

/** Until everything is applied here that a read of the consistency has to see. Rejects with an EventStoreError. */
export async function linearize(log: Pick<OrderedLog<unknown>, 'read'>, { consistency, signal }: ReadConsistency): Promise<void> {
  if (consistency === 'local') return
  try {
    await log.read(signal === undefined ? {} : { signal })
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    if (error.code === 'aborted') throw new EventStoreError('aborted', 'the read was aborted', { cause: error })
    throw new EventStoreError(
      error.code === 'busy' ? 'busy' : 'unavailable',
      `a linearizable read is not possible now: ${error.message}. Try again, or read with consistency local`,
      { cause: error },
    )
  }
}
