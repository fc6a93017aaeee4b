/** The machine's own bounds of consumer groups: they change verdicts, so they are the same on every node, for ever in this form of the commands. */
export const groupFormat = {
  groupsMax: 1000,
  /** Of one group: beyond, a consumer is refused. */
  consumersMax: 1024,
  partitionsMax: 1024,
  /** The most that a group's `parkedMax` may be. */
  parkedMax: 10_000,
  attemptsMax: 1_000_000,
  ackDeadlineMsMax: 86_400_000,
  /** Positions of a partition that are settled above the oldest that is not: beyond, the partition waits for that one. */
  settledAboveMax: 1024,
  /** Of the definition's fixed part, as JSON. */
  definitionBytesMax: 64 * 1024,
  consumerBytesMax: 256,
  nodeBytesMax: 256,
  instanceBytesMax: 64,
  /** Why an event was parked. */
  reasonBytesMax: 256,
} as const

/** Also what a metric's label may be, and what a key of a cell holds without escapes. */
const name = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

export function isGroupName(text: string): boolean {
  return name.test(text)
}

export const groupNameRule = 'up to 128 letters, digits and ._:- beginning with a letter or a digit'
