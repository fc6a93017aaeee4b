/**
 * Completion scripts for shells, made from commander's own tree, so that they know what the command line knows. They are static: no process
 * runs at each press of a key. (@bomb.sh/tab fits commander too, but runs the program each time and never completes the names of files,
 * which `--config` and `--from-file` need; omelette does not know commander.)
 */
import type { Argument, Command, Option } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

interface CommandWords {
  readonly name: string
  readonly description: string
  readonly options: readonly OptionWords[]
  /** What its arguments may be, as far as it is known. */
  readonly words: readonly string[]
}

interface OptionWords {
  readonly flag: string
  readonly description: string
  readonly takes: 'nothing' | 'anything' | 'file' | readonly string[]
}

export function completionScript(shell: Shell, program: Command): string {
  const help = program.createHelp()
  const commands = help.visibleCommands(program).map((command) => ({
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).flatMap(toOptionWords),
    words: command.registeredArguments.flatMap((argument: Argument) => argument.argChoices ?? []),
  }))
  const all = commands.map((command) =>
    command.name === 'help' ? { ...command, words: commands.map(({ name }) => name).filter((name) => name !== 'help') } : command,
  )
  const name = program.name()
  return shell === 'bash' ? bash(name, all) : shell === 'zsh' ? zsh(name, all) : fish(name, all)
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
      return `    '${command.name} ${flag}') ${reply}return ;;`
    }),
  )
  const words = commands.map(
    (command) => `    '${command.name}') words='${[...command.options.map(({ flag }) => flag), ...command.words].join(' ')}' ;;`,
  )
  return `# bash completion of ${name}: eval "$(${name} completion bash)"
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' word
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]]; then command=$word; break; fi
  done
  case "$command $previous" in
${values.join('\n')}
  esac
  case "$command" in
    '') words='${[...commands.map((command) => command.name), '--help'].join(' ')}' ;;
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
  const cases = commands.map((command) => {
    const words = command.words.length === 0 ? '' : ` '*:word:(${command.words.join(' ')})'`
    return `    ${command.name}) _arguments -S ${command.options.map(option).join(' ')}${words} ;;`
  })
  return `#compdef ${name}
# zsh completion of ${name}: eval "$(${name} completion zsh)"
_${name}() {
  local -a commands=(
${commands.map((command) => `    ${quoted(`${command.name}:${command.description.replaceAll(':', '\\:')}`)}`).join('\n')}
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
  const lines = commands.flatMap((command) => {
    const inside = `-n '__fish_seen_subcommand_from ${command.name}'`
    const options = command.options.map(({ flag, description, takes }) => {
      const value = takes === 'nothing' ? '' : takes === 'file' ? ' -r -F' : takes === 'anything' ? ' -x' : ` -x -a '${takes.join(' ')}'`
      return `complete -c ${name} ${inside} -l ${flag.slice(2)}${value} -d ${quoted(description)}`
    })
    const words = command.words.length === 0 ? [] : [`complete -c ${name} ${inside} -a '${command.words.join(' ')}'`]
    return [`complete -c ${name} -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.description)}`, ...options, ...words]
  })
  return `# fish completion of ${name}: ${name} completion fish | source\ncomplete -c ${name} -f\n${lines.join('\n')}\n`
}
