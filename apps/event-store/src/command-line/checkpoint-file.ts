/**
 * Where a subscription stands, in a file: `{"cluster", "stream", "filter"?, "position"}`. It is written beside and moved into place, so that it
 * is whole at any moment, and only after what it covers was written out: what comes after a crash may come again, nothing is missed.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { EventFilter } from '@synod/client'
import { InputError } from './command-errors.ts'

const content = z.strictObject({
  cluster: z.string(),
  stream: z.string().nullable(),
  /** As the options gave it; of another one the position says nothing. */
  filter: z.record(z.string(), z.unknown()).optional(),
  position: z.int().nonnegative(),
})

export class CheckpointFile {
  readonly #file: string
  readonly #stream: string | null
  readonly #filter: EventFilter | undefined
  #cluster: string | undefined
  #position: bigint | undefined

  private constructor(
    file: string,
    stream: string | undefined,
    filter: EventFilter | undefined,
    known: z.infer<typeof content> | undefined,
  ) {
    this.#file = file
    this.#stream = stream ?? null
    this.#filter = filter
    this.#cluster = known?.cluster
    this.#position = known === undefined ? undefined : BigInt(known.position)
  }

  /** @throws InputError when there is a file that is no checkpoint, or one of another stream or filter */
  static async open(file: string, stream: string | undefined, filter: EventFilter | undefined): Promise<CheckpointFile> {
    const known = await readCheckpoint(file)
    if (known !== undefined && known.stream !== (stream ?? null)) {
      const name = (of: string | null): string => (of === null ? 'all streams' : `stream ${JSON.stringify(of)}`)
      throw new InputError(`${file} is a checkpoint of ${name(known.stream)}, not of ${name(stream ?? null)}: name another file`)
    }
    if (known !== undefined && !isDeepStrictEqual(known.filter, filter)) {
      const name = (of: unknown): string => (of === undefined ? 'no filter' : `filter ${JSON.stringify(of)}`)
      throw new InputError(`${file} is a checkpoint with ${name(known.filter)}, not with ${name(filter)}: name another file`)
    }
    return new CheckpointFile(file, stream, filter, known)
  }

  /** What to resume after; undefined: from the beginning. */
  get position(): bigint | undefined {
    return this.#position
  }

  /** @throws InputError when the file's position is one of another cluster, where it means nothing */
  requireCluster(cluster: string): void {
    if (this.#cluster !== undefined && this.#cluster !== cluster) {
      throw new InputError(`${this.#file} is a checkpoint in cluster ${this.#cluster}, and this is ${cluster}: name another file`)
    }
    this.#cluster = cluster
  }

  /** Durable when it resolves. */
  async save(position: bigint): Promise<void> {
    if (position === this.#position || this.#cluster === undefined) return
    const temporary = `${this.#file}.${process.pid}.tmp`
    const filter = this.#filter && { filter: this.#filter }
    const text = JSON.stringify({ cluster: this.#cluster, stream: this.#stream, ...filter, position: Number(position) })
    try {
      const handle = await open(temporary, 'w')
      try {
        await handle.writeFile(`${text}\n`)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, this.#file)
      await syncFolder(dirname(this.#file))
    } catch (error) {
      throw new InputError(`the checkpoint ${this.#file} cannot be written: ${(error as Error).message}`)
    }
    this.#position = position
  }
}

async function readCheckpoint(file: string): Promise<z.infer<typeof content> | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new InputError(`the checkpoint ${file} cannot be read: ${(error as Error).message}`)
  }
  try {
    return content.parse(JSON.parse(text))
  } catch {
    throw new InputError(`${file} is no checkpoint, which is {"cluster", "stream", "position"}: name another file, or remove it`)
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
