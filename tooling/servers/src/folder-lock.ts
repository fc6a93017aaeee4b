import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isAlive, startedAt } from './process-table.ts'
import { ServerError } from './server-error.ts'

/**
 * One live process owns a data folder. The file names the owner by process id and start time, so the file of a killed owner, or
 * one whose number went to another process, stands in nobody's way.
 * @throws ServerError `data_folder_in_use`
 */
export function lockFolder(file: string): { release(): void } {
  const mine = `${process.pid} ${startedAt(process.pid)}\n`
  const aside = `${file}.${process.pid}`
  for (let attempt = 0; attempt < 10; attempt++) {
    writeFileSync(aside, mine)
    try {
      linkSync(aside, file) // appears whole or not at all: nobody reads an empty owner
      return { release: () => readOwner(file) === mine && rmSync(file, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(aside, { force: true })
    }
    const held = readOwner(file)
    const [pid = '', ...started] = held.trim().split(' ')
    if (isAlive(Number(pid)) && startedAt(Number(pid)) === started.join(' ')) {
      throw new ServerError(
        'data_folder_in_use',
        `process ${pid} runs the server of this data folder (${file}): stop it first, or use another folder`,
      )
    }
    takeAway(file, held, aside)
  }
  throw new ServerError('data_folder_in_use', `several processes want ${file} at once`)
}

/** Removes a dead owner's file; puts back what another process made between the look and the removal. */
function takeAway(file: string, held: string, aside: string): void {
  try {
    renameSync(file, aside)
    if (readOwner(aside) !== held) linkSync(aside, file)
  } catch {
    // somebody else was faster: the next attempt reads who
  } finally {
    rmSync(aside, { force: true })
  }
}

function readOwner(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
