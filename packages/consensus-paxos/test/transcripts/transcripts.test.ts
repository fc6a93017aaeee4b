/** `vitest -u` writes the outputs anew: review what changed as a diff. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Scenario } from './scenario.ts'
import { replayed } from './transcript.ts'

const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.txt'))

describe('transcripts', () => {
  test.each(files)('%s', async (file) => {
    const path = `${import.meta.dirname}/${file}`
    const scenario = new Scenario()
    const now = replayed(readFileSync(path, 'utf8'), (command) => scenario.run(command))
    await expect(now).toMatchFileSnapshot(path)
  })
})
