import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/command-line/program.ts'
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
    [['read', 's', '--tag', 'x'], /--tag chooses among all events: leave the stream out/],
    [['streams', 'inof', 's'], /Did you mean info\?/],
    [['streams', 'metadata', 's', '--clear', '--max-age', '5'], /--clear takes everything away: give it alone/],
    [['streams', 'metadata', 's', '--custom', '[]'], /--custom must be a JSON object/],
    [['groups', 'create', 'g', '--from', 'now'], /a position, and end/],
    [['completion', 'tcsh'], /bash, zsh, fish/],
  ])('%j', async (given, message) => {
    const { code, out, err } = await runSynod(given, nowhere)
    expect(err).toMatch(message)
    expect({ code, out }).toEqual({ code: 2, out: '' })
  })

  test('--help of a command is told', async () => {
    const { code, out } = await runSynod(['groups', 'create', '--help'], nowhere)
    expect(out).toMatch(/Usage: synod groups create[^]*Examples:\n.*synod/)
    expect(code).toBe(0)
  })
})

describe('every command', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'command-line.md'), 'utf8')
  const commandsOf = (parent: Command): Command[] => parent.commands.flatMap((command) => [command, ...commandsOf(command)])
  const elsewhere = ['start', 'demo', 'node', 'init']
  const named = commandsOf(createProgram()).map((command): [string, Command] => {
    const outer = command.parent?.parent ? `${command.parent.name()} ` : ''
    return [`${outer}${command.name()}`, command]
  })

  test.each(named.filter(([name]) => name !== 'demo'))('%s has help with examples', (_, command) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    expect(help).toMatch(/Examples:\n.*synod/)
  })

  test.each(named.filter(([name]) => !elsewhere.includes(name)))('%s and its options are in docs/command-line.md', (name, command) => {
    const words = [name.includes(' ') ? `synod ${name}` : name, ...command.options.map(({ long }) => long ?? '')]
    expect(words.filter((word) => !new RegExp(`(^|[\\s(])\`?${word}\\b`, 'm').test(page))).toEqual([])
  })
})

describe('no node', () => {
  test.each([
    [['append', 's', 'T', '--timeout', '1']],
    [['append', '--timeout', '1']],
    [['read', '--timeout', '1']],
    [['subscribe', '--timeout', '1']],
    [['append-atomically', '--timeout', '1']],
    [['streams', 'info', 's', '--timeout', '1']],
    [['groups', 'consume', 'g', '--timeout', '1']],
    [['status']],
  ])('%j is unavailable', async (given) => {
    const { code, out, err } = await runSynod(
      [...given, '--json'],
      nowhere,
      given[0] === 'append-atomically'
        ? '{"writes":[{"stream":"s","events":[{"type":"T","data":1}]}]}'
        : '{"stream":"s","type":"T","data":1}\n',
    )
    expect(JSON.parse(err)).toMatchObject({ kind: 'error', code: 'unavailable', exitCode: 69 })
    expect({ code, out }).toEqual({ code: 69, out: '' })
  })
})

test('an input that cannot be read', { timeout: 60_000 }, async () => {
  const given = [
    ['append', '--from-file', '/nowhere/lines.jsonl'],
    ['append', '--from-file', tmpdir()],
    ['append', 's', 'T', '-'],
  ]
  const inputs = ['', '', ' '.repeat(9 * 1024 * 1024)]
  const messages = [/lines\.jsonl cannot be read: ENOENT/, /it is a folder/, /more than 8388608 bytes/]
  given.push(['append-atomically'], ['append-atomically'], ['append-atomically', '/nowhere/a.json'])
  inputs.push('{', '{"writes": [{"stream": "s", "event": []}]}', '')
  messages.push(/standard input is not JSON/, /writes\.0\.events: /, /a\.json cannot be read: ENOENT/)
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
    expect(await offered('st')).toEqual(['streams', 'status', 'start'])
    expect(await offered('')).toEqual(expect.arrayContaining(['append', 'read', 'subscribe', 'status', 'completion', '--help']))
    expect(await offered('read', '--l')).toEqual(['--limit', '--local'])
    expect(await offered('start', '--paxos', '')).toEqual(['basic', 'multi'])
    expect(await offered('completion', 'z')).toEqual(['zsh'])
    expect(await offered('subscribe', '--checkpoint-file', 'tw')).toEqual(['two words.json'])
    expect(await offered('append', '--id', '')).toEqual([])
    expect(await offered('streams', '')).toEqual(['--help', 'info', 'metadata', 'delete'])
    expect(await offered('groups', 'c')).toEqual(['create', 'consume'])
    expect(await offered('groups', 'create', '--parti')).toEqual(['--partition-by-tag', '--partitions'])
    expect(await offered('streams', '--json', 'delete', '--e')).toEqual(['--expected'])
    rmSync(folder, { recursive: true })
  })

  test('the others name every command and option too', async () => {
    for (const shell of ['zsh', 'fish']) {
      const { code, out } = await runSynod(['completion', shell], nowhere)
      expect(code).toBe(0)
      for (const word of ['append', 'subscribe', 'checkpoint-file', 'in-flight', 'basic multi', 'metadata', 'partition-by-tag'])
        expect(out).toContain(word)
    }
  })
})
