import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runSynod } from './run-synod.ts'

const nowhere = ['http://127.0.0.1:9']

describe('wrong usage', () => {
  test.each([
    [['apend'], /Did you mean append\?/],
    [['read', '--limt', '3'], /Did you mean --limit\?/],
    [['read', '--limit', '0'], /integers from 1 to/],
    [['read', '--from', 'soon'], /integers from 0 to 2\^53-1/],
    [['read', '--nodes', 'localhost'], /"localhost" is no http or https URL/],
    [['subscribe', '--from', '1', '--after', '2'], /cannot be used with/],
    [['append', 's'], /an event needs a type/],
    [['append', 's', 'T', '{x}'], /data is not JSON.*double quotes/],
    [['append', 's', 'T', '1', '--expected', 'none'], /any, noStream, streamExists/],
    [['append', 's', 'T', '1', '--expected', '7n'], /any, noStream, streamExists/],
    [['append', 's', 'T', '1', '--id', 'seven'], /id must be a UUID/],
    [['append', 's', 'T', '--skip', '3'], /--skip is for JSON lines/],
    [['append', '--expected', 'any', '--tag', 'a'], /--tag, --expected are of one event/],
    [['completion', 'tcsh'], /bash, zsh, fish/],
  ])('%j', async (given, message) => {
    const { code, out, err } = await runSynod(given, nowhere)
    expect(err).toMatch(message)
    expect({ code, out }).toEqual({ code: 2, out: '' })
  })

  test.each(['append', 'read', 'subscribe', 'status', 'completion'])('%s --help has examples', async (command) => {
    const { code, out } = await runSynod([command, '--help'], nowhere)
    expect(out).toMatch(new RegExp(`Usage: synod ${command}[^]*Examples:\n.*synod`))
    expect(code).toBe(0)
  })
})

describe('no node', () => {
  test.each([
    [['append', 's', 'T', '--timeout', '1']],
    [['append', '--timeout', '1']],
    [['read', '--timeout', '1']],
    [['subscribe', '--timeout', '1']],
    [['status']],
  ])('%j is unavailable', async (given) => {
    const { code, out, err } = await runSynod([...given, '--json'], nowhere, '{"stream":"s","type":"T","data":1}\n')
    expect(JSON.parse(err)).toMatchObject({ kind: 'error', code: 'unavailable', exitCode: 69 })
    expect({ code, out }).toEqual({ code: 69, out: '' })
  })
})

test('an input that cannot be read', async () => {
  const given = [
    ['append', '--from-file', '/nowhere/lines.jsonl'],
    ['append', '--from-file', tmpdir()],
    ['append', 's', 'T', '-'],
  ]
  const inputs = ['', '', ' '.repeat(9 * 1024 * 1024)]
  const messages = [/lines\.jsonl cannot be read: ENOENT/, /it is a folder/, /more than 8388608 bytes/]
  for (const [index, message] of messages.entries()) {
    const { code, err } = await runSynod(given[index] ?? [], nowhere, inputs[index])
    expect(err).toMatch(message)
    expect(code).toBe(1)
  }
})

test('somebody who waits is told what for', async () => {
  const { err } = await runSynod(['read', '--timeout', '4'], nowhere)
  expect(err).toMatch(/no node at http:\/\/127\.0\.0\.1:9 answers yet.*still trying/)
})

describe('the completion of bash', () => {
  const folder = mkdtempSync(join(tmpdir(), 'synod-completion-'))

  /** What bash would offer for the words, the last of which is being typed. */
  async function offered(...words: string[]): Promise<string[]> {
    const { out } = await runSynod(['completion', 'bash'], nowhere)
    const ask = 'COMP_WORDS=(synod "$@"); COMP_CWORD=$#; _synod; printf "%s\\n" "${COMPREPLY[@]}"'
    const { stdout, stderr } = spawnSync('bash', ['-c', `${out}\n${ask}`, 'bash', ...words], { cwd: folder, encoding: 'utf8' })
    expect(stderr).toBe('')
    return stdout.split('\n').filter((word) => word !== '')
  }

  test('commands, options, values and files', async () => {
    writeFileSync(join(folder, 'two words.json'), '')
    expect(await offered('st')).toEqual(['status', 'start'])
    expect(await offered('')).toEqual(expect.arrayContaining(['append', 'read', 'subscribe', 'status', 'completion', '--help']))
    expect(await offered('read', '--l')).toEqual(['--limit', '--local'])
    expect(await offered('start', '--paxos', '')).toEqual(['basic', 'multi'])
    expect(await offered('completion', 'z')).toEqual(['zsh'])
    expect(await offered('subscribe', '--checkpoint-file', 'tw')).toEqual(['two words.json'])
    expect(await offered('append', '--id', '')).toEqual([])
    rmSync(folder, { recursive: true })
  })

  test('the others name every command and option too', async () => {
    for (const shell of ['zsh', 'fish']) {
      const { code, out } = await runSynod(['completion', shell], nowhere)
      expect(code).toBe(0)
      for (const word of ['append', 'subscribe', 'checkpoint-file', 'in-flight', 'basic multi']) expect(out).toContain(word)
    }
  })
})
