/** `pnpm simulate`. */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import { faultNamed } from '../mutants/all-faults.ts'
import { plant } from '../mutants/plant.ts'
import type { SimulateOptions } from './simulate.ts'
import { StateFileError } from './state-file.ts'

const command = new Command('simulate')
  .description('Runs the production code in virtual time under seeded faults and checks what clients saw. docs/simulation.md tells more.')
  .option('--protocol <name>', 'basic or multi (default: both)', protocolName)
  .option('--seeds <count>', 'how many, shared among the protocols (default: 200)', whole)
  .addOption(new Option('--seed <number>', 'this one alone, with its trace').argParser(whole).conflicts(['seeds', 'minutes', 'from']))
  .option('--minutes <minutes>', 'stop after so many minutes; without --seeds there is no other end', positive)
  .option('--from <number>', 'the first seed (default: where the last run that was interrupted ended, else 1)', whole)
  .option('--threads <count>', 'default: one a core', whole)
  .option('--fault <name...>', 'plant faults in the product, to see them found; docs/planted-faults.md names them', faultNames)
  .option('--folder <path>', 'where traces and the state go', '.synod-simulate')

command.parse()
const given = command.opts<Partial<SimulateOptions> & { protocol?: 'basic' | 'multi'; fault?: string[] }>()
const checkPlanted = plant(given.fault ?? [])
// Only now, so that it is loaded with the faults.
const { simulate } = await import('./simulate.ts')
checkPlanted()
const options: SimulateOptions = {
  modes: given.protocol === undefined ? ['basic', 'multi'] : [given.protocol],
  threads: given.threads ?? availableParallelism(),
  folder: given.folder ?? '.synod-simulate',
  faultsPlanted: given.fault ?? [],
  ...(given.seeds === undefined ? {} : { seeds: given.seeds }),
  ...(given.seed === undefined ? {} : { seed: given.seed }),
  ...(given.minutes === undefined ? {} : { minutes: given.minutes }),
  ...(given.from === undefined ? {} : { from: given.from }),
}
try {
  process.exitCode = await simulate(options)
} catch (error) {
  if (!(error instanceof StateFileError)) throw error
  console.error(`error: ${error.message}`)
  process.exitCode = 1
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 is wanted')
  return value
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('a positive number is wanted')
  return value
}

function protocolName(text: string): string {
  if (text !== 'basic' && text !== 'multi') throw new InvalidArgumentError('there are basic and multi')
  return text
}

function faultNames(name: string, before: readonly string[] = []): readonly string[] {
  try {
    return [...before, faultNamed(name).name]
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}
