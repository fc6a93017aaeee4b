/** `pnpm mutants`: progress to standard error, the result to standard output; exit code 1 when the harness misses anything. */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import { faultNamed, faults } from './all-faults.ts'
import { faultsNotYet } from './faults/not-yet.ts'
import { resultText, triedText } from './mutants-text.ts'
import { isSound, runMutants, type Tried } from './run-mutants.ts'

const given = new Command('mutants')
  .description(
    'Plants faults in the product, one at a time, and sees that simulator, explorer and tests notice each. docs/planted-faults.md lists them.',
  )
  .option('--only <name...>', 'these faults alone (and the canary)', faultNames)
  .option('--lanes <count>', 'killers at a time (default: one a core)', positive)
  .option('--json', 'the result as JSON', false)
  .parse()
  .opts<{ only?: string[]; lanes?: number; json: boolean }>()

const isLive = process.stderr.isTTY
const onTried = (tried: Tried, done: number, of: number): void => {
  const text = `${String(done).padStart(3)} of ${of}  ${triedText(tried)}`
  process.stderr.write(isLive ? `\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}` : `${text}\n`)
}
const names = given.only ?? faults.map(({ name }) => name)
const result = await runMutants({ names, lanes: given.lanes ?? availableParallelism(), onTried })
if (isLive) process.stderr.write('\r\u001b[K')
process.stdout.write(
  given.json ? `${JSON.stringify({ ...result, notYet: faultsNotYet }, undefined, 1)}\n` : `${resultText(result, faultsNotYet)}\n`,
)
process.exitCode = isSound(result) ? 0 : 1

function faultNames(name: string, before: readonly string[] = []): readonly string[] {
  try {
    return [...before, faultNamed(name).name]
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 is wanted')
  return value
}
