/**
 * Completion scripts for shells, made from commander's own tree, so that they know what the command line knows. They are static: no process
 * runs at each press of a key. (@bomb.sh/tab fits commander too, but runs the program each time and never completes the names of files,
 * which `--config` and `--from-file` need; omelette does not know commander.)
 */
import type { Argument, Command, Option } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

interface CommandWords {
  /** `['streams', 'info']`. */
  readonly path: readonly string[]
  readonly description: string
  readonly options: readonly OptionWords[]
  /** What its arguments may be, as far as it is known. */
  readonly words: readonly string[]
  /** It has commands inside, which are its words. */
  readonly hasInside: boolean
}

interface OptionWords {
  readonly flag: string
  readonly description: string
  readonly takes: 'nothing' | 'anything' | 'file' | readonly string[]
}

export function completionScript(shell: Shell, program: Command): string {
  const commands = wordsOf(program, [])
  const all = commands.map((command) =>
    command.path.join() === 'help' ? { ...command, words: namesOf(commands).filter((name) => name !== 'help') } : command,
  )
  const name = program.name()
  return shell === 'bash' ? bash(name, all) : shell === 'zsh' ? zsh(name, all) : fish(name, all)
}

/** Each command, and behind it those that are inside of it. */
function wordsOf(parent: Command, before: readonly string[]): CommandWords[] {
  const help = parent.createHelp()
  return help.visibleCommands(parent).flatMap((command): CommandWords[] => {
    const path = [...before, command.name()]
    // The help of a command that has some inside says nothing that --help does not.
    const inside = wordsOf(command, path).filter((words) => words.path.at(-1) !== 'help')
    const words = {
      path,
      description: command.description(),
      options: help.visibleOptions(command).flatMap(toOptionWords),
      words: [...namesOf(inside), ...command.registeredArguments.flatMap((argument: Argument) => argument.argChoices ?? [])],
      hasInside: inside.length > 0,
    }
    return [words, ...inside]
  })
}

/** Of the first level. */
function namesOf(commands: readonly CommandWords[]): string[] {
  const depth = Math.min(...commands.map(({ path }) => path.length))
  return commands.filter(({ path }) => path.length === depth).map(({ path }) => path.at(-1) ?? '')
}

function toOptionWords(option: Option): OptionWords[] {
  if (option.long === undefined || option.long === null) return []
  const takesValue = option.required || option.optional
  const isFile = /<(file|folder)>/.test(option.flags)
  const takes = !takesValue ? 'nothing' : (option.argChoices ?? (isFile ? 'file' : 'anything'))
  return [{ flag: option.long, description: option.description, takes }]
}

function bash(name: string, commands: readonly CommandWords[]): string {
  const values = commands.flatMap((command) =>
    command.options.flatMap(({ flag, takes }) => {
      if (takes === 'nothing') return []
      const files = `local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current")); `
      const reply = takes === 'file' ? files : takes === 'anything' ? '' : `COMPREPLY=($(compgen -W '${takes.join(' ')}' -- "$current")); `
      return `    '${command.path.join(' ')} ${flag}') ${reply}return ;;`
    }),
  )
  const words = commands.map(
    (command) => `    '${command.path.join(' ')}') words='${[...command.options.map(({ flag }) => flag), ...command.words].join(' ')}' ;;`,
  )
  const outer = commands.filter(({ hasInside }) => hasInside).map(({ path }) => path.join(' '))
  return `# bash completion of ${name}: eval "$(${name} completion bash)"
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' word
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == -* ]]; then continue; fi
    if [[ -n $command ]]; then command="$command $word"; break; fi
    command=$word
    case "$command" in ${outer.join('|')}) ;; *) break ;; esac
  done
  case "$command $previous" in
${values.join('\n')}
  esac
  case "$command" in
    '') words='${[...namesOf(commands), '--help'].join(' ')}' ;;
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _${name} ${name}
`
}

function zsh(name: string, commands: readonly CommandWords[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
  const option = ({ flag, description, takes }: OptionWords): string => {
    const action =
      takes === 'nothing' ? '' : takes === 'file' ? ':file:_files' : takes === 'anything' ? ':value:' : `:value:(${takes.join(' ')})`
    const text = description.replace(/[[\]:\\]/g, '\\$&')
    return quoted(`*${flag}[${text}]${action}`)
  }
  const described = (some: readonly CommandWords[]): string =>
    some.map(({ path, description }) => `    ${quoted(`${path.at(-1)}:${description.replaceAll(':', '\\:')}`)}`).join('\n')
  const caseOf = ({ path, options, words }: CommandWords): string => {
    const offered = words.length === 0 ? '' : ` '*:word:(${words.join(' ')})'`
    return `    ${path.at(-1)}) _arguments -S ${options.map(option).join(' ')}${offered} ;;`
  }
  const outer = commands.filter(({ path }) => path.length === 1)
  const cases = outer.map((command) => {
    if (!command.hasInside) return caseOf(command)
    const inside = commands.filter(({ path }) => path.length === 2 && path[0] === command.path[0])
    return `    ${command.path[0]})
  commands=(
${described(inside)}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${inside.map(caseOf).join('\n')}
  esac ;;`
  })
  return `#compdef ${name}
# zsh completion of ${name}: eval "$(${name} completion zsh)"
_${name}() {
  local -a commands=(
${described(outer)}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
compdef _${name} ${name}
`
}

function fish(name: string, commands: readonly CommandWords[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const seen = (words: readonly string[]): string => words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
  const lines = commands.flatMap((command) => {
    const { path, words, hasInside } = command
    const inside = `-n '${seen(path)}'`
    const options = command.options.map(({ flag, description, takes }) => {
      const value = takes === 'nothing' ? '' : takes === 'file' ? ' -r -F' : takes === 'anything' ? ' -x' : ` -x -a '${takes.join(' ')}'`
      return `complete -c ${name} ${inside} -l ${flag.slice(2)}${value} -d ${quoted(description)}`
    })
    const offered = words.length === 0 || hasInside ? [] : [`complete -c ${name} ${inside} -a '${words.join(' ')}'`]
    const outer = path.slice(0, -1)
    const siblings = commands.filter((other) => other.path.length === path.length && other.path[0] === path[0])
    const none = `not __fish_seen_subcommand_from ${siblings.map((other) => other.path.at(-1)).join(' ')}`
    const first = outer.length === 0 ? '__fish_use_subcommand' : `'${seen(outer)}; and ${none}'`
    return [`complete -c ${name} -n ${first} -a ${path.at(-1)} -d ${quoted(command.description)}`, ...options, ...offered]
  })
  return `# fish completion of ${name}: ${name} completion fish | source\ncomplete -c ${name} -f\n${lines.join('\n')}\n`
}
