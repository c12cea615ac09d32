/**
 * One column of a row type, as data: what SQLite, Parquet, the readers and docs/parquet.md are made
 * from, so that they cannot differ.
 */
export interface Column<Row> {
  readonly name: keyof Row & string
  readonly type: ColumnType
  /** May be null. */
  readonly nullable: boolean
  /** What a number counts, or what a text is. Empty: nothing to add. */
  readonly unit: string
  /** What cold has in its place; the ledger has facts alone and no cold of its own. */
  readonly cold: 'clear' | 'strings hashed' | 'hashed' | 'fact'
  readonly meaning: string
}

/**
 * `count` is a whole number up to 2^53 - 1, a JavaScript number in rows and an INT64 in files;
 * `int64` is a bigint in both. `timestamp` is Unix milliseconds as a number in rows.
 */
export type ColumnType =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'count'
  | 'double'
  | 'timestamp'
