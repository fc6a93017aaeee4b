import type { Command } from 'commander'
import { clusterOptions, countMax, examples, usageGuarded } from './command-parts.ts'
import type { ConsumeCommandOptions } from './consume-group.ts'
import { filterOptions } from './filter-options.ts'
import type { CreateGroupOptions, ParkedCommandOptions } from './groups.ts'
import { integer, place, placeOrEnd, places, seconds } from './option-values.ts'
import type { ClusterOptions } from './run-command.ts'

/** What most of them do, loaded when one of them is chosen. */
const load = () => import('./groups.ts')

/** The commands of consumer groups. */
export function addGroups(program: Command): void {
  const groups = program
    .command('groups')
    .description('Consumer groups: several consumers share a subscription')
    .addHelpText(
      'after',
      examples('synod groups create mailer --category course', 'synod groups consume mailer --json | ./mail', 'synod groups show mailer'),
    )
  clusterOptions(groups.command('list'))
    .description('All groups, with how far they are behind')
    .addHelpText('after', examples('synod groups list'))
    .action(usageGuarded(async (options: ClusterOptions) => (await load()).listGroups(options)))
  clusterOptions(groups.command('show'))
    .description('A group: its consumers, and why its partitions do not move')
    .argument('<group>', 'its name')
    .addHelpText('after', examples('synod groups show mailer', 'synod groups show mailer --json'))
    .action(usageGuarded(async (group: string, options: ClusterOptions) => (await load()).showGroup(group, options)))
  addCreate(groups)
  clusterOptions(groups.command('delete'))
    .description('Deletes a group, and what it knows of events')
    .argument('<group>', 'its name')
    .addHelpText('after', examples('synod groups delete mailer'))
    .action(usageGuarded(async (group: string, options: ClusterOptions) => (await load()).deleteGroup(group, options)))
  clusterOptions(groups.command('parked'))
    .description('Prints the events that were set aside')
    .argument('<group>', 'its name')
    .option('--after <position>', 'only those behind it', place)
    .option('--limit <count>', 'events at most (all)', integer(1, countMax))
    .addHelpText('after', examples('synod groups parked mailer'))
    .action(usageGuarded(async (group: string, options: ParkedCommandOptions) => (await load()).parkedEvents(group, options)))
  clusterOptions(groups.command('replay'))
    .description('Delivers parked events again')
    .argument('<group>', 'its name')
    .argument('[positions...]', 'of events; absent: all that are parked', places)
    .addHelpText('after', examples('synod groups replay mailer', 'synod groups replay mailer 1042 1043'))
    .action(
      usageGuarded(async (group: string, positions: readonly bigint[] | undefined, options: ClusterOptions) =>
        (await load()).replayParked(group, positions ?? [], options),
      ),
    )
  clusterOptions(groups.command('consume'))
    .description('Prints events as a consumer of the group, and acknowledges them when they are written out')
    .argument('<group>', 'its name')
    .option('--consumer <name>', "this consumer's name in the group's status")
    .option('--limit <count>', 'ends after so many', integer(1, countMax))
    .addHelpText('after', examples('synod groups consume mailer', 'synod groups consume mailer --json --limit 10'))
    .action(
      usageGuarded(async (group: string, options: ConsumeCommandOptions) =>
        (await import('./consume-group.ts')).consumeGroup(group, options),
      ),
    )
}

function addCreate(groups: Command): void {
  filterOptions(clusterOptions(groups.command('create')))
    .description('Makes a group, or changes the deadline, attempts and parked events of one')
    .argument('<group>', 'its name')
    .option('--from <position>', 'inclusive; end: only what comes (the beginning)', placeOrEnd)
    .option('--partition-by-tag <prefix>', "what has the same key comes in order: an event's first tag that begins so (its stream)")
    .option('--partitions <count>', 'keys are spread over so many (64)', integer(1, countMax))
    .option('--ack-deadline <seconds>', 'an event that is not acknowledged for so long is delivered again (30)', seconds)
    .option('--attempts <count>', 'deliveries of one event; after the last it is parked (10)', integer(1, countMax))
    .option('--parked-max <count>', 'at it the group stops, and says so (1000)', integer(1, countMax))
    .addHelpText(
      'after',
      examples(
        'synod groups create mailer --type StudentEnrolled --from end',
        'synod groups create seats --partition-by-tag course: --ack-deadline 5',
      ),
    )
    .action(usageGuarded(async (group: string, options: CreateGroupOptions) => (await load()).createGroup(group, options)))
}
