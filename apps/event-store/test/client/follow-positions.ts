/** A subscription to all events that runs beside a test. */
import type { Client, SubscriptionMessage } from '@synod/client'

export interface Following {
  /** Resolves with how far it is once that is `last`; rejects with what `take` threw, or when it takes longer than 60 s. */
  upTo(last: bigint): Promise<bigint>
}

const upToMsMax = 60_000

/** `take` is told each message and how far the subscription was, and says how far it is now; it throws at what must not come. */
export function followPositions(client: Client, take: (message: SubscriptionMessage, taken: bigint) => bigint): Following {
  const controller = new AbortController()
  let taken = 0n
  let end: bigint | undefined
  const following = (async () => {
    for await (const message of client.subscribe({ signal: controller.signal })) {
      taken = take(message, taken)
      if (end !== undefined && taken >= end) return
    }
  })()
  following.catch(() => undefined) // told by upTo
  return {
    async upTo(last) {
      end = last
      const timer = setTimeout(() => controller.abort(new Error(`the subscription stands at ${taken} of ${last}`)), upToMsMax)
      if (taken < last) await following
      clearTimeout(timer)
      controller.abort()
      await following.catch((error: unknown) => {
        if (error !== controller.signal.reason) throw error
      })
      return taken
    },
  }
}
