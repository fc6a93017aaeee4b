/** Events as `read` and `subscribe` print them: for programs exactly as over HTTP (docs/http.md), for people a line in columns. */
import { styleText } from 'node:util'
import type { EventType, RecordedEvent } from '@synod/client'
import { printable } from './printable.ts'

/** Data and metadata are the JSON text that is stored, so that no digit is lost on the way through. */
export interface TextEventType extends EventType {
  readonly data: string
  readonly metadata?: string | undefined
}

export type TextEvent = RecordedEvent<TextEventType>

/** An event as JSON, in one line. */
export function eventJson({ stream, revision, position, id, type, data, metadata, tags, recordedAt }: TextEvent): string {
  const head = JSON.stringify({ stream, revision: Number(revision), position: Number(position), id, type })
  const tail = JSON.stringify({ tags, recordedAt: recordedAt.toISOString() })
  return `${head.slice(0, -1)},"data":${oneLine(data)},"metadata":${oneLine(metadata ?? 'null')},${tail.slice(1)}`
}

/** In valid JSON a line end stands between tokens only; inside a text it is an escape. */
function oneLine(json: string): string {
  return json.replace(/[\r\n]/g, ' ')
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

  line(event: TextEvent): string {
    const position = this.#column('position', String(event.position), 'start')
    const place = this.#column('place', `${printable(event.stream)}@${event.revision}`)
    const type = this.#column('type', printable(event.type))
    const parts = [
      this.#style('dim', event.recordedAt.toISOString().replace('T', ' ')),
      position,
      this.#style('cyan', place),
      this.#style('bold', type),
      printable(oneLine(event.data)),
    ]
    for (const tag of event.tags) parts.push(this.#style('yellow', `#${printable(tag)}`))
    if (event.metadata !== undefined) parts.push(this.#style('dim', `metadata ${printable(oneLine(event.metadata))}`))
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
