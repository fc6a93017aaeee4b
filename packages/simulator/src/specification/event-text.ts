import { ballotText, type Report, type SpecificationEvent } from './specification-event.ts'

const shownMax = 24

/** One event for people: `1b n2 2.n1.1, votes 1=1.n3.1:76`. */
export function eventText(event: SpecificationEvent): string {
  switch (event.kind) {
    case '1a':
      return `1a ${ballotText(event.ballot)} for slot ${event.index}${event.scope === 'suffix' ? ' and up' : ''}`
    case '1b':
      return `1b ${event.node} ${ballotText(event.ballot)}${event.report === undefined ? '' : `, ${reportText(event.report)}`}`
    case '2a':
      return `2a ${ballotText(event.ballot)} slot ${event.index} = ${valueText(event.value)}`
    case '2b':
      return `2b ${event.node} ${ballotText(event.ballot)} slot ${event.index} = ${valueText(event.value)}`
    case 'learned':
      return `learned ${event.node} slot ${event.index} = ${valueText(event.value)}`
    case 'applied':
      return `applied ${event.node} slot ${event.index}`
    case 'says1b':
      return `${event.node} says 1b ${ballotText(event.ballot)}, ${reportText(event.report)}`
    case 'says2b':
      return `${event.node} says 2b ${ballotText(event.ballot)} slot ${event.index}`
    case 'saysDecided':
      return `${event.node} says that slots up to ${event.through} are decided`
    case 'saysChosen':
      return `${event.node} says that the 2a ${ballotText(event.ballot)} of slot ${event.index} is decided`
    case 'restarts':
      return `restart of ${event.node}, ${event.promised === undefined ? 'promised nothing' : `promised ${ballotText(event.promised)}`}, decided ≤${event.decidedThrough}`
  }
}

function reportText({ decidedThrough, decided, votes }: Report): string {
  const said = votes.map(({ index, ballot, value }) => `${index}=${ballotText(ballot)}:${valueText(value)}`)
  const known = [...(decidedThrough > 0 ? [`≤${decidedThrough}`] : []), ...decided.map(({ index }) => index)].join(' ')
  return `${known === '' ? '' : `decided ${known}, `}votes ${said.length === 0 ? 'none' : said.join(' ')}`
}

/** A value as of `valueOf`, as text where it is printable. */
export function valueText(value: string): string {
  const [hex = ''] = value.split('…')
  const bytes = hex.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? []
  const isText = bytes.length > 0 && bytes.every((byte) => byte > 32 && byte < 127)
  const text = isText ? String.fromCharCode(...bytes) : `x${hex}`
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}
