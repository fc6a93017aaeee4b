/** What `pnpm mutants` prints. */
import type { FaultNotYet } from './planted-fault.ts'
import { isSound, type MutantsResult, type Tried } from './run-mutants.ts'

/** One killer of one fault, in a line. */
export function triedText({ fault, killer, seconds, trial, error }: Tried): string {
  const name = (fault ?? 'the product as it is').padEnd(nameWidth)
  const time = `${seconds.toFixed(1)} s`.padStart(8)
  if (trial === undefined) return `${name} NOT TRIED ${time}  ${killer}: ${error}`
  const amount = `${trial.count.toLocaleString('en-US')} ${trial.unit}`.padStart(14)
  return `${name} ${verdict(fault, trial.isKilled).padEnd(9)} ${time} ${amount}  ${killer}${trial.what === '' ? '' : `  ⇒ ${cut(trial.what)}`}`
}

export function resultText(result: MutantsResult, notYet: readonly FaultNotYet[]): string {
  const names = new Set(result.tried.map(({ fault }) => fault))
  const survivors = result.tried.filter(({ trial }) => trial?.isKilled !== true)
  const alarms = result.unpatched.filter(({ trial }) => trial?.isKilled !== false)
  return [
    ...[...names].flatMap((name) => linesOf(result.tried.filter(({ fault }) => fault === name))),
    '',
    ...result.unpatched.map(triedText),
    '',
    'Not yet, and not counted:',
    ...notYet.map(({ name, breaks, needs }) => `${name.padEnd(nameWidth)} needs ${needs}: ${breaks}`),
    '',
    ...survivors.map((tried) => `SURVIVOR  ${triedText(tried)}`),
    ...alarms.map((tried) => `FALSE ALARM  ${triedText(tried)}`),
    `${names.size} faults, the canary among them, ${isSound(result) ? 'each noticed by every one of its killers, which let the product as it is pass' : `${survivors.length} killers noticed nothing, ${alarms.length} false alarms`}: ${result.seconds.toFixed(0)} s`,
  ].join('\n')
}

const nameWidth = 42
const whatMax = 110

/** The name of the fault on its first line only. */
function linesOf(tried: readonly Tried[]): string[] {
  return tried.map((one, at) => (at === 0 ? triedText(one) : ' '.repeat(nameWidth) + triedText(one).slice(nameWidth)))
}

function verdict(fault: string | undefined, isKilled: boolean): string {
  if (fault === undefined) return isKilled ? 'ACCUSED' : 'passes'
  return isKilled ? 'killed' : 'SURVIVES'
}

function cut(text: string): string {
  return text.length > whatMax ? `${text.slice(0, whatMax)}…` : text
}
