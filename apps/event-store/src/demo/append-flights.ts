import { ClientError, type Client } from '@synod/client'
import type { Acknowledgement, Input } from './compare-histories.ts'
import { DemoError } from './demo-error.ts'
import type { FlightEvent } from './flights.ts'

export interface AppendOptions {
  readonly client: Client<FlightEvent>
  readonly input: Input
  /** How many at once. */
  readonly writers: number
  /** Ends it with its reason. */
  readonly signal: AbortSignal
  /** After every acknowledgement: events acknowledged so far, and when (`performance.now()`). */
  readonly onProgress: (eventsAcknowledged: number, at: number) => void
}

/** One after the other by turns: single events for most, and batches too. */
const eventsPerAppend = [1, 1, 1, 1, 1, 1, 1, 3]

/**
 * Appends every stream in its order, each append behind the revision of the one before; a stream has one writer at a time. The
 * longest streams go first, so that no writer is left alone with one at the end.
 * @throws the first failure of a writer, when all of them have ended
 */
export async function appendFlights({ client, input, writers, signal, onProgress }: AppendOptions): Promise<Acknowledgement[]> {
  const waiting = [...input].toSorted(([, a], [, b]) => b.length - a.length)
  const acknowledged: Acknowledgement[] = []
  const failures: unknown[] = []
  let events = 0
  let turn = 0
  const write = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [stream, sent] = next
      for (let from = 0; from < sent.length;) {
        if (failures.length > 0) return
        const batch = sent.slice(from, from + (eventsPerAppend[turn++ % eventsPerAppend.length] ?? 1))
        const expected = from === 0 ? 'noStream' : BigInt(from - 1)
        const { revision, position } = await client.append(stream, batch, { expected, signal })
        acknowledged.push({ stream, revision: Number(revision), position: Number(position) })
        from += batch.length
        events += batch.length
        onProgress(events, performance.now())
      }
    }
  }
  await Promise.all(Array.from({ length: writers }, () => write().catch((error: unknown) => failures.push(error))))
  // A stream has one writer, so no refusal is in order.
  if (failures[0] instanceof ClientError) throw new DemoError(`an append failed: ${failures[0].message}`)
  if (failures.length > 0) throw failures[0]
  return acknowledged
}
