import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeLife } from '@synod/event-store'

/** Polls: a log does not announce every change of its state. */
export async function waitUntilServing(life: NodeLife): Promise<void> {
  while (life.status().state !== 'serving') await sleep(5)
}
