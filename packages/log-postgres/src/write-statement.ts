/**
 * A batch as one statement, hence one transaction without BEGIN and COMMIT: one round trip. Its first part updates the fence
 * row, and every other part takes its rows from what that gave: nothing, if another boot owns the store, if this very write
 * was done before (`write_sequence`), or if somebody made the server unsafe. The payloads travel in one binary parameter and
 * are cut apart there, since an array of bytea would travel as hexadecimal text.
 *
 * The parts of a `with` see the same state: a truncation therefore spares the rows that the same statement writes again. The
 * tables are those of the pieces, by name: going through a partitioned parent costs 2 % of a write, measured.
 */
import type { Bytes } from '@synod/codec'
import { metaChecksum, slotChecksum } from './checksum.ts'
import type { Merged, SlotRow } from './operation-merge.ts'
import type { PieceDirectory } from './piece-directory.ts'

export interface WriteStatement {
  /** The name of the prepared statement, one for each combination of parts. */
  readonly name?: string
  readonly text: string
  readonly values: unknown[]
}

/** Statements for writes of one boot, by sequence. Each slot must have its piece, and it must be whole. */
export function writeStatements(
  schema: string,
  boot: number,
  directory: PieceDirectory,
): (sequence: number, merged: Merged) => WriteStatement {
  let table = 0
  let ofOneSlot = { name: '', text: '' }
  let ofOneSlotDecided = ofOneSlot
  return (sequence, merged) => {
    const { slots, decided, meta, truncations } = merged
    const [slot, another] = slots
    const isOneSlot = slot !== undefined && another === undefined && meta.length === 0 && truncations.size === 0
    if (!isOneSlot || decided.size > 1) return anyStatement(schema, boot, sequence, merged, directory)
    const { epoch, index, header, entry } = slot
    const own = tableOf(directory, slot)
    if (own !== table) {
      table = own
      ofOneSlot = { name: `synod_write_one_${own}`, text: oneSlotText(schema, own, false) }
      ofOneSlotDecided = { name: `synod_write_one_d_${own}`, text: oneSlotText(schema, own, true) }
    }
    const values: unknown[] = [boot, sequence, epoch, index, slotChecksum(epoch, index, header, entry), header, entry]
    if (decided.size === 0) return { ...ofOneSlot, values }
    for (const [of, through] of decided) values.push(of, through)
    return { ...ofOneSlotDecided, values }
  }
}

function tableOf(directory: PieceDirectory, { epoch, index }: SlotRow): number {
  const table = directory.holding(epoch, index)?.slots
  if (table === undefined) throw new RangeError(`slot ${index} of epoch ${epoch} has no table to be written to`)
  return table
}

/** What nearly every write is: a slot, and how far is decided. Without arrays to take apart it is a good deal quicker. */
function oneSlotText(schema: string, table: number, isDecided: boolean): string {
  const parts = [
    fencePart(schema),
    `slot as (insert into "${schema}".slots_${table} (epoch, index, checksum, header, entry)
  select $3::bigint, $4::bigint, $5::integer, $6::bytea, $7::bytea from fence
  on conflict (epoch, index) do update set checksum = excluded.checksum, header = excluded.header, entry = excluded.entry)`,
  ]
  if (isDecided) parts.push(decidedText(schema, 'select $8::bigint, $9::bigint from fence'))
  return statementText(parts)
}

function anyStatement(schema: string, boot: number, sequence: number, merged: Merged, directory: PieceDirectory): WriteStatement {
  const values: unknown[] = [boot, sequence]
  const parameter = (value: unknown, type: string): string => `$${values.push(value)}::${type}`
  const parts = [fencePart(schema)]
  const kinds: string[] = []
  const slotKeys = new Map<number, string>()
  for (const [table, slots] of Map.groupBy(merged.slots, (slot) => tableOf(directory, slot))) {
    slotKeys.set(table, slotPart(schema, table, slots, parameter, parts))
    kinds.push(`s${table}`)
  }
  for (const [epoch, index] of merged.truncations) {
    for (const { slots: table } of directory.of(epoch).filter(({ to }) => to >= index)) {
      if (table === undefined) continue // reclaimed, hence decided: no truncation reaches down there
      const keys = slotKeys.get(table)
      const but =
        keys === undefined
          ? ''
          : ` and not exists (select from ${keys} as kept (epoch, index) where kept.epoch = s.epoch and kept.index = s.index)`
      parts.push(
        `cut${parts.length} as (delete from "${schema}".slots_${table} s using fence where s.epoch = ${parameter(epoch, 'bigint')} and s.index >= ${parameter(index, 'bigint')}${but})`,
      )
      kinds.push(`t${table}`)
    }
  }
  if (merged.meta.length > 0) metaPart(schema, merged, parameter, parts)
  if (merged.decided.size > 0) decidedPart(schema, merged, parameter, parts)
  // A batch that cuts many tables is rare: it is not worth a prepared statement of its own.
  const name = `synod_write_${kinds.join('')}${merged.meta.length > 0 ? 'm' : ''}${merged.decided.size > 0 ? 'd' : ''}`
  return { ...(kinds.length <= 2 && { name }), text: statementText(parts), values }
}

function statementText(parts: readonly string[]): string {
  return `with ${parts.join(',\n')}\nselect boot from fence`
}

type Parameter = (value: unknown, type: string) => string

/** `synchronous_commit` is forced on for this very transaction, whatever the session has been told since. */
function fencePart(schema: string): string {
  return `fence as materialized (update "${schema}".fence set write_sequence = $2::bigint
  where id and boot = $1::bigint and write_sequence = $2::bigint - 1
    and set_config('synchronous_commit', 'on', true) = 'on'
    and current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on'
  returning boot)`
}

function slotPart(schema: string, table: number, slots: readonly SlotRow[], parameter: Parameter, parts: string[]): string {
  const epochs = parameter(list(slots.map(({ epoch }) => epoch)), 'bigint[]')
  const indexes = parameter(list(slots.map(({ index }) => index)), 'bigint[]')
  const checksums = parameter(list(slots.map(({ epoch, index, header, entry }) => slotChecksum(epoch, index, header, entry))), 'integer[]')
  const packed = pack(slots.flatMap(({ header, entry }) => [header, entry]))
  const starts = parameter(list(packed.starts.filter((_, at) => at % 2 === 0)), 'integer[]')
  const headers = parameter(list(slots.map(({ header }) => header.length)), 'integer[]')
  const entries = parameter(list(slots.map(({ entry }) => entry.length)), 'integer[]')
  const blob = parameter(packed.bytes, 'bytea')
  parts.push(`slot${table} as (insert into "${schema}".slots_${table} (epoch, index, checksum, header, entry)
  select t.epoch, t.index, t.checksum, substring(${blob} from t.start for t.header), substring(${blob} from t.start + t.header for t.entry)
  from fence, unnest(${epochs}, ${indexes}, ${checksums}, ${starts}, ${headers}, ${entries}) as t (epoch, index, checksum, start, header, entry)
  on conflict (epoch, index) do update set checksum = excluded.checksum, header = excluded.header, entry = excluded.entry)`)
  return `unnest(${epochs}, ${indexes})`
}

function metaPart(schema: string, { meta }: Merged, parameter: Parameter, parts: string[]): void {
  const packed = pack(meta.map(({ value }) => value))
  const columns = [
    parameter(list(meta.map(({ epoch }) => epoch)), 'bigint[]'),
    parameter(
      meta.map(({ key }) => key),
      'text[]',
    ),
    parameter(list(meta.map(({ epoch, key, value }) => metaChecksum(epoch, key, value))), 'integer[]'),
    parameter(list(packed.starts), 'integer[]'),
    parameter(list(meta.map(({ value }) => value.length)), 'integer[]'),
  ]
  const blob = parameter(packed.bytes, 'bytea')
  parts.push(`meta as (insert into "${schema}".meta (epoch, key, checksum, value)
  select t.epoch, t.key, t.checksum, substring(${blob} from t.start for t.length)
  from fence, unnest(${columns.join(', ')}) as t (epoch, key, checksum, start, length)
  on conflict (epoch, key) do update set checksum = excluded.checksum, value = excluded.value)`)
}

function decidedPart(schema: string, { decided }: Merged, parameter: Parameter, parts: string[]): void {
  const epochs = parameter(list([...decided.keys()]), 'bigint[]')
  const indexes = parameter(list([...decided.values()]), 'bigint[]')
  parts.push(decidedText(schema, `select t.epoch, t.index from fence, unnest(${epochs}, ${indexes}) as t (epoch, index)`))
}

function decidedText(schema: string, rows: string): string {
  return `decided as (insert into "${schema}".epochs as e (epoch, decided_through)
  ${rows}
  on conflict (epoch) do update set decided_through = excluded.decided_through where e.decided_through < excluded.decided_through)`
}

/** Postgres' notation of an array of numbers; pg's own would quote each. */
function list(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`
}

/** Everything in one piece, and where each begins, from 1 as `substring` counts. */
function pack(pieces: readonly Bytes[]): { readonly bytes: Buffer; readonly starts: number[] } {
  let at = 1
  const starts = pieces.map((piece) => {
    const start = at
    at += piece.length
    return start
  })
  return { bytes: Buffer.concat(pieces, at - 1), starts }
}
