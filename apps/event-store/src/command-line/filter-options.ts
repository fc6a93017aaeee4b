/** The options that choose among all events, the same for `read`, `subscribe` and `groups create`. */
import type { Command } from 'commander'
import type { EventFilter } from '@synod/client'
import { UsageError } from './command-errors.ts'
import { collected } from './option-values.ts'

export interface FilterOptions {
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly prefix?: readonly string[]
  readonly category?: readonly string[]
}

export function filterOptions(command: Command): Command {
  return command
    .option('--type <type>', 'only events of this type; given several times: of any of them', collected)
    .option('--tag <tag>', 'only events with this tag; given several times: with all of them', collected)
    .option('--prefix <prefix>', 'only of streams whose name begins so; given several times: with any of them', collected)
    .option('--category <category>', 'only of streams whose name is this up to its first -; given several times: any of them', collected)
}

/** Undefined when no option is given. @throws UsageError when there is a stream too */
export function toFilter({ type, tag, prefix, category }: FilterOptions, stream?: string): EventFilter | undefined {
  const given = Object.entries({ type, tag, prefix, category }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`]))
  if (given.length === 0) return undefined
  if (stream !== undefined) {
    throw new UsageError(`${given.join(', ')} ${given.length === 1 ? 'chooses' : 'choose'} among all events: leave the stream out`)
  }
  const item = { ...(type !== undefined && { types: type }), ...(tag !== undefined && { tags: tag }) }
  return {
    ...(Object.keys(item).length > 0 && { items: [item] }),
    ...(prefix !== undefined && { prefixes: prefix }),
    ...(category !== undefined && { categories: category }),
  }
}
