/** What the commands of the tree have in common. */
import { Option, type Command } from 'commander'
import { UsageError } from './command-errors.ts'
import { nodeUrls, seconds } from './option-values.ts'
import { tellError } from './run-command.ts'
import { exitCodes } from '../exit-codes.ts'

const defaultNodes = ['http://127.0.0.1:2113', 'http://127.0.0.1:2114', 'http://127.0.0.1:2115']
/** The largest count that an option takes. */
export const countMax = 999_999_999

export function clusterOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--nodes <urls>', 'where nodes answer, with commas between; any one is enough')
        .argParser(nodeUrls)
        .default(defaultNodes, 'ports 2113 to 2115 of this machine')
        .env('SYNOD_NODES'),
    )
    .option('--timeout <seconds>', 'how long to try when no node answers', seconds, 30)
    .option('--json', 'JSON lines for programs, errors too (docs/command-line.md)')
}

/** Sockets that still say goodbye must not keep the process alive; all output was written. */
export function exit(code: number): never {
  process.exit(code)
}

/** Tells wrong usage that commander cannot see. */
export function usageGuarded<A extends readonly unknown[]>(action: (...given: A) => Promise<number>): (...given: A) => Promise<void> {
  return async (...given) => {
    try {
      exit(await action(...given))
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      const isJson = given.some((options) => (options as { readonly json?: boolean } | undefined)?.json === true)
      tellError(error, isJson)
      process.exitCode = exitCodes.usage
    }
  }
}

export function isOrAre(names: readonly string[]): string {
  return names.length === 1 ? 'is' : 'are'
}

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
