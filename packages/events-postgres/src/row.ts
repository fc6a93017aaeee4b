import { ReadSideError } from '@synod/events'

/** As pg gives it in `rowMode: 'array'`. */
export type Row = readonly (string | number | Buffer | null)[]

/** A prepared statement by its name. */
export type Query = (name: string, statement: string, values: readonly unknown[]) => Promise<readonly Row[]>

/** Throws a ReadSideError `damaged`. */
export function bytes(value: Row[number] | undefined): Uint8Array {
  if (!Buffer.isBuffer(value)) throw damaged('a column that must hold bytes holds none')
  return new Uint8Array(value.buffer, value.byteOffset, value.length)
}

export function text(value: Row[number] | undefined): string {
  return Buffer.from(bytes(value)).toString('utf8')
}

export function damaged(what: string): ReadSideError {
  return new ReadSideError(
    'damaged',
    `the read side is damaged (${what}): drop its schema: it is built again from the log, as long as nothing of that was reclaimed (docs/reclaiming.md)`,
  )
}
