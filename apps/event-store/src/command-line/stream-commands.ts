import type { Command } from 'commander'
import { clusterOptions, countMax, examples, usageGuarded } from './command-parts.ts'
import { expected, integer, place } from './option-values.ts'
import type { DeleteStreamOptions, StreamInfoOptions, StreamMetadataOptions } from './streams.ts'

/** The commands about a stream as a whole. */
export function addStreams(program: Command): void {
  const streams = program
    .command('streams')
    .description('What a stream has and keeps, and its deletion')
    .addHelpText(
      'after',
      examples('synod streams info course-1', 'synod streams metadata audit --max-age 2592000', 'synod streams delete course-1'),
    )
  clusterOptions(streams.command('info'))
    .description('How long a stream is, and its last event')
    .argument('<stream>', 'its name')
    .option('--local', "what one node's own store has, without asking the others")
    .addHelpText('after', examples('synod streams info course-1'))
    .action(usageGuarded(async (stream: string, options: StreamInfoOptions) => (await import('./streams.ts')).streamInfo(stream, options)))
  clusterOptions(streams.command('metadata'))
    .description('Shows what a stream keeps; with an option, sets it: what is not given asks for nothing from then on')
    .argument('<stream>', 'its name; it need not have events yet')
    .option('--max-count <count>', 'keeps the newest so many events', integer(1, countMax))
    .option('--max-age <seconds>', 'keeps events for so long', integer(1, countMax))
    .option('--truncate-before <revision>', 'hides the events below, for ever', place)
    .option('--custom <json>', 'an object of your own')
    .option('--clear', 'sets nothing at all')
    .option('--local', "shows what one node's own store has, without asking the others")
    .addHelpText(
      'after',
      examples(
        'synod streams metadata audit',
        'synod streams metadata audit --max-age 2592000 --max-count 100000',
        'synod streams metadata audit --clear',
      ),
    )
    .action(
      usageGuarded(async (stream: string, options: StreamMetadataOptions) =>
        (await import('./streams.ts')).streamMetadata(stream, options),
      ),
    )
  clusterOptions(streams.command('delete'))
    .description('Hides all events of a stream; its name can be used again, unless --hard')
    .argument('<stream>', 'its name')
    .option('--hard', 'a tombstone: nothing is ever appended to it again')
    .option('--expected <state>', "any, noStream, streamExists, or the stream's last revision", expected)
    .addHelpText('after', examples('synod streams delete course-1 --expected 7', 'synod streams delete course-1 --hard'))
    .action(
      usageGuarded(async (stream: string, options: DeleteStreamOptions) => (await import('./streams.ts')).deleteStream(stream, options)),
    )
}
