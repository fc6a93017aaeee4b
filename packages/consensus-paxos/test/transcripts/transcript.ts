/**
 * A transcript is commands, each followed by a line `----` and what came of it, up to a blank line, after the manner of
 * cockroachdb/datadriven as etcd's raft uses it. Lines that begin with `#` are comments; a file begins with one that says
 * what is shown.
 */
interface Block {
  /** Comments and blank lines before it. */
  readonly before: readonly string[]
  readonly command: string
  readonly line: number
}

/** The same file with the outputs as they are now. Throws an Error that names the line of a command that cannot be. */
export function replayed(source: string, run: (command: string) => readonly string[]): string {
  const lines = source.split('\n')
  if (!lines[0]?.startsWith('# ')) throw new Error('a transcript begins with a comment that says what it shows')
  const { blocks, after } = parse(lines)
  const written = blocks.flatMap(({ before, command, line }) => {
    try {
      return [...before, command, '----', ...run(command), '']
    } catch (error) {
      throw new Error(`line ${line}, ${command}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  })
  return `${[...written, ...after].join('\n').trimEnd()}\n`
}

function parse(lines: readonly string[]): { readonly blocks: readonly Block[]; readonly after: readonly string[] } {
  const blocks: Block[] = []
  let before: string[] = []
  for (let at = 0; at < lines.length; at++) {
    const command = lines[at] ?? ''
    if (command === '' || command.startsWith('#')) {
      before.push(command)
      continue
    }
    blocks.push({ before, command, line: at + 1 })
    before = []
    if (lines[at + 1] === '----') at = lines.indexOf('', at) === -1 ? lines.length : lines.indexOf('', at)
    else if (lines[at + 1] === '') at++
  }
  return { blocks, after: before }
}
