/**
 * One step of one core as transcripts show it: a line for the input, an indented line for each effect, in the order of
 * emission. `after #3` at the end of a send: it waits until write 3 is durable. Numbers of writes, offers and reads (#) are
 * the node's own.
 */
import type { Effect, Input } from '@synod/consensus'
import { decodeSlotHeader, type PaxosMessage } from '@synod/consensus-paxos'
import type { StoredSlot, StoreOperation } from '@synod/log'
import { text } from '../oracle.ts'
import { ballotOf } from './ballot-of.ts'
import { entryText, messageText } from './message-text.ts'
import type { RecordedStep } from './recorded-core.ts'

/** Nothing for a tick without effects. */
export function stepText(node: string, { input, effects }: RecordedStep, members: readonly string[]): string[] {
  if (input.kind === 'tick' && effects.length === 0) return []
  const width = members.join().length - Math.min(...members.map(({ length }) => length)) - 1
  const lines = effects.map(({ effect, after }) => {
    const said = `  ${effectText(effect, members, width)}`
    return after === undefined ? said : `${said}  after #${after}`
  })
  return [`${node}  ${inputText(input)}`, ...lines].map((line) => line.trimEnd())
}

function inputText(input: Input<PaxosMessage>): string {
  switch (input.kind) {
    case 'tick':
      return `tick ${input.now}`
    case 'message':
      return `< ${input.from}  ${messageText(input.message)}`
    case 'offer':
      return `offer #${input.id} ${entryText(input.entry)}`
    case 'barrier':
      return `barrier #${input.id}`
    case 'durable':
      return `durable #${input.token}`
    case 'want':
      return `want ${input.from}..${input.to}`
    case 'learn':
      return `learn ${input.index}:${entryText(input.entry)}`
    case 'stepDown':
      return 'stepDown'
  }
}

function effectText(effect: Effect<PaxosMessage>, members: readonly string[], width: number): string {
  const kind = effect.kind.padEnd(7)
  switch (effect.kind) {
    case 'persist':
      return `${kind}  #${effect.token} ${effect.operations.map((operation) => operationText(operation, members)).join(' · ')}`
    case 'send':
      return `${kind}  > ${effect.to.join().padEnd(width)}  ${messageText(effect.message)}`
    case 'decide':
      return `${kind}  ${effect.index}:${entryText(effect.entry)}`
    case 'settle':
      return `${kind}  #${effect.id} ${effect.as}`
    case 'readAt':
      return `${kind}  #${effect.id} at ${effect.index}`
    case 'role':
      return `${kind}  ${effect.role}${effect.leader === undefined ? '' : ` of ${effect.leader}`}, ${effect.available ? 'available' : 'not available'}`
    case 'fetch':
      return `${kind}  ${effect.from}..${effect.to} from ${effect.peer ?? 'anybody'}`
    case 'trace':
      return `${kind}  ${effect.event} ${Object.entries(effect.data)
        .map(([key, item]) => `${key}=${String(item)}`)
        .join(' ')}`
  }
}

function operationText(operation: StoreOperation, members: readonly string[]): string {
  switch (operation.op) {
    case 'meta':
      return `${operation.key} ${text(ballotOf(operation.value, members))}`
    case 'slot':
      return slotText(operation, members)
    case 'decidedThrough':
      return `decided ${operation.index}`
    case 'truncateFrom':
      throw new Error('Paxos truncates nothing')
  }
}

/** `5:a accepted 2.n1.1`, with the slot's own promise where that is higher. */
export function slotText({ index, header, entry }: StoredSlot, members: readonly string[]): string {
  const { promised, accepted, decided } = decodeSlotHeader(header, members)
  if (decided) return `${index}:${entryText(entry)} decided`
  const isHigher = promised.round > 0 && text(promised) !== text(accepted)
  const ownPromise = isHigher ? ` promised ${text(promised)}` : ''
  return accepted.round === 0 ? `${index}${ownPromise}` : `${index}:${entryText(entry)} accepted ${text(accepted)}${ownPromise}`
}
