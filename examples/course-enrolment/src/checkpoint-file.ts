import { readFile, rename, writeFile } from 'node:fs/promises'
import type { CourseSummary } from './catalogue.ts'

/** What a projection keeps: its view, and the position of the last event that is in it. They are written together, so they agree. */
export interface Checkpoint {
  readonly position: bigint
  readonly courses: readonly CourseSummary[]
}

/** Undefined where there is no file yet. */
export async function readCheckpoint(file: string): Promise<Checkpoint | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { position, courses } = JSON.parse(text) as { position: string; courses: CourseSummary[] }
  return { position: BigInt(position), courses }
}

/** Written aside and renamed: whoever is killed meanwhile finds the old one or the new one. */
export async function writeCheckpoint(file: string, { position, courses }: Checkpoint): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify({ position: String(position), courses }))
  await rename(`${file}.new`, file)
}
