/**
 * What of a core's digest tells no two nodes apart.
 *
 * Times, and the state of the generator, from which only times are drawn. A core decides by its clock when a tick comes, and here
 * a tick comes as `stand` alone, which is longer than everything that a core waits for (`standMs`): whatever it waits for, it then
 * does. And when nodes begin no more rounds, the highest round seen and the duels lost, which number and delay the next one.
 *
 * They are known by their names. Two tests hold that to the cores as they are: an exploration whose clock begins elsewhere, with
 * another generator, reaches the very same texts, so that no time is left in one under another name; and with `checksMerged` every
 * node that is taken for another one is stepped as well and has to do the same, so that nothing is erased that matters.
 */
const times = /\b(?:(?:\w+At|at|now|until|timeoutMs|stuckSince|quietSince|state):-?\d[\d.e+-]*|\w+At:Map\{[^{}]*\})/g
const rounds = /\b(?:highestRound|lost):\d+/g

export function withoutTimes(digest: string): string {
  return digest.replaceAll(times, '')
}

export function withoutRounds(digest: string): string {
  return digest.replaceAll(rounds, '')
}
