import type { ColumnType, Generated } from 'kysely'

/** pg gives a bigint as text, so that none above 2^53 is rounded; this store writes none above. */
type Bigint = ColumnType<string, number, number>

/** The tables as kysely sees them: for everything but the hot path. */
export interface Schema {
  /** One row. Every writing transaction updates it `where boot = mine`. */
  fence: { id: Generated<boolean>; boot: Bigint; write_sequence: Bigint }
  /** At most one row. */
  genesis: { id: Generated<boolean>; record: string; checksum: number }
  meta: { epoch: Bigint; key: string; value: Buffer; checksum: number }
  epochs: { epoch: Bigint; decided_through: Bigint }
  pieces: { epoch: Bigint; from_index: Bigint; slots: Bigint | null; kept: Bigint | null; kept_bytes: Bigint }
}
