import type { Acknowledgement, Input } from './compare-histories.ts'
import type { ClusterClient } from './cluster-client.ts'

export interface AppendOptions {
  readonly client: ClusterClient
  readonly input: Input
  /** How many at once, spread over the nodes. */
  readonly writers: number
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
export async function appendFlights({ client, input, writers, onProgress }: AppendOptions): Promise<Acknowledgement[]> {
  const waiting = [...input].toSorted(([, a], [, b]) => b.length - a.length)
  const acknowledged: Acknowledgement[] = []
  const failures: unknown[] = []
  let events = 0
  let turn = 0
  const write = async (home: number): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [stream, sent] = next
      for (let from = 0; from < sent.length;) {
        if (failures.length > 0) return
        const batch = sent.slice(from, from + (eventsPerAppend[turn++ % eventsPerAppend.length] ?? 1))
        acknowledged.push(await client.append({ stream, expected: from === 0 ? 'noStream' : from - 1, events: batch }, home))
        from += batch.length
        events += batch.length
        onProgress(events, performance.now())
      }
    }
  }
  const all = Array.from({ length: writers }, (_, index) =>
    write(index % client.urls.length).catch((error: unknown) => failures.push(error)),
  )
  await Promise.all(all)
  if (failures.length > 0) throw failures[0]
  return acknowledged
}
