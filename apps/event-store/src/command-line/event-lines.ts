/** Events as `read` and `subscribe` print them: for programs exactly as over HTTP (docs/http.md), for people a line in columns. */
import { styleText } from 'node:util'
import type { RecordedEvent } from '@synod/client'
import { printable } from './printable.ts'

export interface EventJson {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly metadata: unknown
  readonly tags: readonly string[]
  readonly recordedAt: string
}

export function toEventJson(event: RecordedEvent): EventJson {
  const { stream, revision, position, id, type, data, metadata, tags, recordedAt } = event
  return {
    stream,
    revision: Number(revision),
    position: Number(position),
    id,
    type,
    data,
    metadata: metadata ?? null,
    tags,
    recordedAt: recordedAt.toISOString(),
  }
}

const columnCharactersMax = 40

/** Columns grow to the widest seen, within reason: what is printed already stays where it is. */
export class EventColumns {
  readonly #output: NodeJS.WriteStream
  readonly #widths = { position: 6, place: 12, type: 12 }

  /** Colours are for this stream, if it is a terminal that wants them (NO_COLOR, FORCE_COLOR). */
  constructor(output: NodeJS.WriteStream) {
    this.#output = output
  }

  line(event: RecordedEvent): string {
    const position = this.#column('position', String(event.position), 'start')
    const place = this.#column('place', `${printable(event.stream)}@${event.revision}`)
    const type = this.#column('type', printable(event.type))
    const parts = [
      this.#style('dim', event.recordedAt.toISOString().replace('T', ' ')),
      position,
      this.#style('cyan', place),
      this.#style('bold', type),
      printable(JSON.stringify(event.data)),
    ]
    for (const tag of event.tags) parts.push(this.#style('yellow', `#${printable(tag)}`))
    if (event.metadata !== undefined) parts.push(this.#style('dim', `metadata ${printable(JSON.stringify(event.metadata))}`))
    return parts.join('  ')
  }

  #column(name: 'position' | 'place' | 'type', text: string, pad: 'start' | 'end' = 'end'): string {
    const width = Math.max(this.#widths[name], Math.min(text.length, columnCharactersMax))
    this.#widths[name] = width
    return pad === 'start' ? text.padStart(width) : text.padEnd(width)
  }

  #style(format: 'dim' | 'cyan' | 'bold' | 'yellow', text: string): string {
    return styleText(format, text, { stream: this.#output })
  }
}
