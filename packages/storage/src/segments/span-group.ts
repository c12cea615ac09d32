// Hot: the writer goes through here for every kept span, column by column.
import type { ColdHasher } from '@winnow/privacy'
import { coldAttributes, coldEvents, coldLinks } from '../cold-rows.ts'
import { spanColumns } from '../span-columns.ts'
import type { PackReader } from '../span-pack.ts'
import type { SpanRow } from '../span-row.ts'
import { ByteColumn } from './byte-column.ts'
import type { EncodedColumn } from './column-chunk.ts'
import { type ColumnValues, encodeColumn } from './column-pages.ts'
import { DoubleColumn, Int32Column, TextColumn, TextTable, WholeColumn } from './column-set.ts'
import { type EncodedGroup, optionsOf } from './parquet-write.ts'
import { traceBloom } from './trace-bloom.ts'

type Columns = { readonly [K in keyof SpanRow]: { readonly values: ColumnValues } }

/** Columns that cold has in another form. */
const hashedColumns = [
  'trace_state',
  'attributes',
  'resource_attributes',
  'events',
  'links',
] as const
type HashedColumn = (typeof hashedColumns)[number]

/** One row group of a segment of spans, from packs, in the order of the file. */
export class SpanGroup {
  readonly #rowsMax: number
  readonly #table = new TextTable()
  readonly #columns: ReturnType<typeof columnsFor>
  readonly #shared = new Map<string, EncodedColumn>()
  readonly #ids: string[] = []
  #rows = 0
  #reader: PackReader | undefined
  /** Texts of the reader's pack as numbers of the table. */
  #numbers: Int32Array = new Int32Array()
  #head = { tenant: 0, rule: 0 }

  /** For exactly so many rows. */
  constructor(rows: number) {
    this.#rowsMax = rows
    this.#columns = columnsFor(rows, this.#table)
  }

  get isFull(): boolean {
    return this.#rows === this.#rowsMax
  }

  /** The row that begins at `start` of the reader's pack. */
  add(reader: PackReader, start: number): void {
    if (reader !== this.#reader) this.#begin(reader)
    this.#rows++
    const columns = this.#columns
    const { bytes } = reader
    columns.tenant.addNumber(this.#head.tenant)
    columns.trace_id.add(reader.traceIdBytes, 0, reader.traceIdBytes.length)
    let at = addId(columns.span_id, bytes, start + 4, false)
    at = addId(columns.parent_span_id, bytes, at, true)
    columns.start_time_unix_nano.addHalves(bytes.readInt32LE(at), bytes.readInt32LE(at + 4))
    columns.end_time_unix_nano.addHalves(bytes.readInt32LE(at + 8), bytes.readInt32LE(at + 12))
    columns.flags.add(bytes.readInt32LE(at + 16))
    reader.at = at + 20
    columns.kind.add(reader.signed())
    columns.status_code.add(reader.signed())
    this.#addTexts(reader)
    const has = bytes[reader.at++] as number
    columns.input_tokens.add((has & 1) === 0 ? null : reader.double())
    columns.output_tokens.add((has & 2) === 0 ? null : reader.double())
    columns.cost_usd.add((has & 4) === 0 ? null : reader.double())
    const length = reader.number()
    columns.attributes.add(bytes, reader.at, reader.at + length)
    columns.sampling_rule.addNumber(this.#head.rule)
    columns.sampling_revision.add(reader.revision)
    columns.sampling_probability.add(reader.probability)
    columns.sampling_adjusted_count.add(reader.adjustedCount)
    columns.sampling_offset.add(reader.offset)
    columns.sampling_partition.add(reader.partition)
  }

  warm(): EncodedGroup {
    return this.#encoded(this.#columns)
  }

  cold(hashers: ReadonlyMap<string, ColdHasher>): EncodedGroup {
    const attributes = new ByteColumn(this.#rows)
    const encoded = this.#encoded(this.#columns, this.#hashed(hashers, attributes))
    attributes.release()
    return encoded
  }

  /** Neither is asked for any more. */
  release(): void {
    const { trace_id, span_id, parent_span_id, attributes } = this.#columns
    for (const column of [trace_id, span_id, parent_span_id, attributes]) column.release()
  }

  #begin(reader: PackReader): void {
    this.#reader = reader
    const table = this.#table
    if (this.#numbers.length < reader.texts.length) {
      this.#numbers = new Int32Array(2 * reader.texts.length)
    }
    for (let n = 0; n < reader.texts.length; n++) {
      this.#numbers[n] = table.number(reader.texts[n] as string)
    }
    this.#head = { tenant: table.number(reader.tenant), rule: table.number(reader.rule) }
    if (this.#ids.at(-1) !== reader.traceId) this.#ids.push(reader.traceId)
  }

  #addTexts(reader: PackReader): void {
    const numbers = this.#numbers
    for (const column of this.#columns.texts) {
      const number = reader.number()
      column.addNumber(number === 0 ? -1 : (numbers[number - 1] as number))
    }
  }

  #encoded(columns: Columns, instead?: Record<HashedColumn, ColumnValues>): EncodedGroup {
    const encoded = spanColumns.map(column => {
      const { name } = column
      const own = (hashedColumns as readonly string[]).includes(name)
      if (own) {
        const values = instead?.[name as HashedColumn] ?? columns[name].values
        return encodeColumn(values, optionsOf(column))
      }
      const known = this.#shared.get(name) ?? encodeColumn(columns[name].values, optionsOf(column))
      this.#shared.set(name, known)
      return known
    })
    return { rows: this.#rows, columns: encoded, bloom: traceBloom(this.#ids) }
  }

  /** Texts that many spans share are hashed once a tenant; attributes one by one. */
  #hashed(
    hashers: ReadonlyMap<string, ColdHasher>,
    hashed: ByteColumn,
  ): Record<HashedColumn, ColumnValues> {
    const { tenant, trace_state, attributes, resource_attributes, events, links } = this.#columns
    const cold = new TextTable()
    const hasherOf = (row: number): ColdHasher => {
      const name = this.#table.texts[tenant.numbers[row] as number] as string
      const hasher = hashers.get(name)
      if (hasher === undefined) throw new TypeError(`no hasher of tenant ${name}`)
      return hasher
    }
    const texts = (
      { numbers }: TextColumn,
      hash: (text: string, hasher: ColdHasher) => string,
    ): ColumnValues => {
      const column = new TextColumn(this.#rows, cold)
      const known = new Map<number, number>()
      for (let row = 0; row < this.#rows; row++) {
        const number = numbers[row] as number
        if (number < 0) {
          column.addNumber(-1)
          continue
        }
        // Exact: both are numbers of a table, far below 2^26.
        const key = (tenant.numbers[row] as number) * 2 ** 26 + number
        let own = known.get(key)
        if (own === undefined) {
          own = cold.number(hash(this.#table.texts[number] as string, hasherOf(row)))
          known.set(key, own)
        }
        column.addNumber(own)
      }
      return column.values
    }
    const { bytes, starts } = attributes.values
    const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let row = 0; row < this.#rows; row++) {
      const text = json.toString('utf8', (starts[row] as number) + 4, starts[row + 1])
      hashed.addText(coldAttributes(text, hasherOf(row)))
    }
    return {
      trace_state: texts(trace_state, (text, hasher) => hasher.token(text)),
      attributes: hashed.values,
      resource_attributes: texts(resource_attributes, coldAttributes),
      events: texts(events, coldEvents),
      links: texts(links, coldLinks),
    }
  }
}

function columnsFor(rows: number, table: TextTable) {
  const text = (): TextColumn => new TextColumn(rows, table)
  const int = (): Int32Column => new Int32Column(rows)
  const whole = (): WholeColumn => new WholeColumn(rows)
  const double = (): DoubleColumn => new DoubleColumn(rows)
  const bytes = (): ByteColumn => new ByteColumn(rows)
  const shared = {
    service_name: text(),
    name: text(),
    trace_state: text(),
    scope_name: text(),
    scope_version: text(),
    gen_ai_operation: text(),
    gen_ai_provider: text(),
    gen_ai_model: text(),
    gen_ai_tool: text(),
    experiment_id: text(),
    experiment_variant: text(),
    resource_attributes: text(),
    events: text(),
    links: text(),
  }
  return {
    ...shared,
    /** In the order of `packedTexts`. */
    texts: Object.values(shared),
    tenant: text(),
    trace_id: bytes(),
    span_id: bytes(),
    parent_span_id: bytes(),
    kind: int(),
    start_time_unix_nano: whole(),
    end_time_unix_nano: whole(),
    status_code: int(),
    flags: int(),
    input_tokens: whole(),
    output_tokens: whole(),
    cost_usd: double(),
    attributes: bytes(),
    sampling_rule: text(),
    sampling_revision: int(),
    sampling_probability: double(),
    sampling_adjusted_count: double(),
    sampling_offset: whole(),
    sampling_partition: int(),
  }
}

/** An id behind its length, and where the next field begins. */
function addId(column: ByteColumn, bytes: Buffer, at: number, isNullable: boolean): number {
  const length = bytes[at] as number
  if (length === 0 && isNullable) column.addNull()
  else column.addShort(bytes, at + 1, length)
  return at + 1 + length
}
