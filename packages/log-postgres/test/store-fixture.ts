import type { LogStore, StoreOperation } from '@synod/log'
import pg from 'pg'

const empty = new Uint8Array(0)

export const slot = (index: number, text = `entry ${index}`, epoch = 1): StoreOperation => {
  return { op: 'slot', epoch, index, header: empty, entry: new TextEncoder().encode(text) }
}

/** Index and text of every slot, in order. */
export async function contents(store: LogStore): Promise<string[]> {
  const found: string[] = []
  for await (const batch of store.read(1, 1, Number.MAX_SAFE_INTEGER)) {
    found.push(...batch.map(({ index, entry }) => `${index}: ${new TextDecoder().decode(entry)}`))
  }
  return found
}

export const entries = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at + 1}: entry ${at + 1}`)

/** One statement, past the store. */
export async function run(connectionString: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  } finally {
    await client.end()
  }
}
