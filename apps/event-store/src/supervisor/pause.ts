import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves after so long, or at once when the signal is aborted: whoever waits looks at it then. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
