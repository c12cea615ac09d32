// Hot: every kept span is packed once, for the hot store and for the segments.
import { acceptsVersion, formats, isNewerVersion, writtenVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { slabOf } from './slab.ts'
import type { SpanRow } from './span-row.ts'

/**
 * Rows of one trace that one decision wrote, as bytes: what the hot store holds and segments gather,
 * so that a span leaves no objects behind. Layout, numbers little-endian or LEB128 (v):
 *
 *   u8 packFormat · v rows · v texts · texts: v length, UTF-8 …
 *   tenant, trace id, rule: v text · v revision · f64 probability, adjusted count, offset · v partition
 *   a row: u32 its length · u8 length, span id · u8 length, parent (0: none) · i64 start, end
 *          u32 flags · v zigzag kind, status · v text + 1 each of `packedTexts` (0: null)
 *          u8 which of input tokens, output tokens, cost are there · f64 each · v length, attributes
 */
export class SpanPack {
  readonly bytes: Uint8Array
  /** Rows in it. */
  readonly count: number
  readonly tenant: string
  readonly traceId: string
  /** Of the decision. */
  readonly offset: number

  constructor(bytes: Uint8Array, count: number, tenant: string, traceId: string, offset: number) {
    this.bytes = bytes
    this.count = count
    this.tenant = tenant
    this.traceId = traceId
    this.offset = offset
  }

  /** Rows as `spanRows` gives them: of one trace and one decision. */
  static of(rows: readonly SpanRow[]): SpanPack {
    const [first] = rows
    if (first === undefined) return emptyPack
    const { tenant, trace_id, sampling_offset } = first
    return new SpanPack(packed(rows), rows.length, tenant, trace_id, Number(sampling_offset))
  }

  /** As it was stored. Throws DATA_CORRUPT for bytes that are no pack, CONFIG_INVALID for a newer one. */
  static from(bytes: Uint8Array): SpanPack {
    if (bytes.length === 0) return emptyPack
    const { rows, tenant, traceId, offset } = new PackReader(bytes)
    return new SpanPack(bytes, rows, tenant, traceId, offset)
  }

  rows(): SpanRow[] {
    if (this.count === 0) return []
    const reader = new PackReader(this.bytes)
    return Array.from({ length: this.count }, () => reader.row())
  }
}

export const emptyPack = new SpanPack(new Uint8Array(), 0, '', '', 0)

const packFormat = formats.spanPack

/** Columns whose values a trace's spans mostly share: held once a pack. */
export const packedTexts = [
  'service_name',
  'name',
  'trace_state',
  'scope_name',
  'scope_version',
  'gen_ai_operation',
  'gen_ai_provider',
  'gen_ai_model',
  'gen_ai_tool',
  'experiment_id',
  'experiment_variant',
  'resource_attributes',
  'events',
  'links',
] as const

/** Of a UTF-16 unit as UTF-8. */
const unitBytesMax = 3
const rowFixedBytes = 96

/** Grows and is kept: a pack's bytes are copied out of it. */
let scratch = Buffer.allocUnsafeSlow(256 * 1024)
let view = new DataView(scratch.buffer)
let at = 0
const numbers = new Map<string, number>()
const lastTexts: (string | undefined)[] = packedTexts.map(() => undefined)
const lastNumbers: number[] = packedTexts.map(() => 0)

function packed(rows: readonly SpanRow[]): Uint8Array {
  const first = rows[0] as SpanRow
  at = 0
  numbers.clear()
  lastTexts.fill(undefined)
  writeHead(first)
  for (const row of rows) writeRow(row)
  const body = at
  const head = headBytes(rows.length)
  const bytes = slabOf(head.length + body)
  head.copy(bytes)
  scratch.copy(bytes, head.length, 0, body)
  return bytes
}

function writeHead(row: SpanRow): void {
  room(rowFixedBytes)
  writeVar(textNumber(row.tenant))
  writeVar(textNumber(row.trace_id))
  writeVar(textNumber(row.sampling_rule))
  writeVar(row.sampling_revision)
  at = scratch.writeDoubleLE(row.sampling_probability, at)
  at = scratch.writeDoubleLE(row.sampling_adjusted_count, at)
  at = scratch.writeDoubleLE(Number(row.sampling_offset), at)
  writeVar(row.sampling_partition)
}

function writeRow(row: SpanRow): void {
  const { span_id, parent_span_id, attributes } = row
  room(rowFixedBytes + 510 + 5 * packedTexts.length + unitBytesMax * attributes.length)
  const start = at
  at += 4
  writeId(span_id)
  writeId(parent_span_id ?? '')
  view.setBigInt64(at, row.start_time_unix_nano, true)
  view.setBigInt64(at + 8, row.end_time_unix_nano, true)
  at += 16
  at = scratch.writeUInt32LE(row.flags, at)
  writeVar(((row.kind << 1) ^ (row.kind >> 31)) >>> 0)
  writeVar(((row.status_code << 1) ^ (row.status_code >> 31)) >>> 0)
  writeText(0, row.service_name)
  writeText(1, row.name)
  writeText(2, row.trace_state)
  writeText(3, row.scope_name)
  writeText(4, row.scope_version)
  writeText(5, row.gen_ai_operation)
  writeText(6, row.gen_ai_provider)
  writeText(7, row.gen_ai_model)
  writeText(8, row.gen_ai_tool)
  writeText(9, row.experiment_id)
  writeText(10, row.experiment_variant)
  writeText(11, row.resource_attributes)
  writeText(12, row.events)
  writeText(13, row.links)
  const { input_tokens, output_tokens, cost_usd } = row
  scratch[at++] =
    (input_tokens === null ? 0 : 1) | (output_tokens === null ? 0 : 2) | (cost_usd === null ? 0 : 4)
  if (input_tokens !== null) at = scratch.writeDoubleLE(input_tokens, at)
  if (output_tokens !== null) at = scratch.writeDoubleLE(output_tokens, at)
  if (cost_usd !== null) at = scratch.writeDoubleLE(cost_usd, at)
  writeBytes(attributes)
  scratch.writeUInt32LE(at - start, start)
}

/** The texts come before the rows that name them, and are known behind them. */
function headBytes(count: number): Buffer {
  let size = 16
  for (const text of numbers.keys()) size += 5 + unitBytesMax * text.length
  room(size)
  const start = at
  scratch[at++] = writtenVersion('spanPack')
  writeVar(count)
  writeVar(numbers.size)
  for (const text of numbers.keys()) writeBytes(text)
  return scratch.subarray(start, at)
}

/** Of ASCII the length is known before; any other text moves where its length takes more bytes. */
function writeBytes(text: string): void {
  const guess = varBytes(text.length)
  const length = scratch.write(text, at + guess, 'utf8')
  const needed = varBytes(length)
  if (needed !== guess) scratch.copyWithin(at + needed, at + guess, at + guess + length)
  writeVar(length)
  at += length
}

function varBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

/** Most texts are the row before's: one comparison instead of a look-up. */
function writeText(column: number, text: string | null): void {
  if (text === null) {
    scratch[at++] = 0
    return
  }
  if (lastTexts[column] !== text) {
    lastTexts[column] = text
    lastNumbers[column] = textNumber(text) + 1
  }
  writeVar(lastNumbers[column] as number)
}

function textNumber(text: string): number {
  const known = numbers.get(text)
  if (known !== undefined) return known
  numbers.set(text, numbers.size)
  return numbers.size - 1
}

/** Ids are hex as the scanner let them through. */
function writeId(id: string): void {
  const { length } = id
  scratch[at++] = length
  for (let n = 0; n < length; n++) scratch[at++] = id.charCodeAt(n)
}

function writeVar(value: number): void {
  let rest = value
  while (rest > 0x7f) {
    scratch[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  scratch[at++] = rest
}

function room(bytes: number): void {
  if (at + bytes <= scratch.length) return
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * scratch.length, at + bytes))
  scratch.copy(larger, 0, 0, at)
  scratch = larger
  view = new DataView(larger.buffer)
}

/** Steps through a pack. What it says of a row is valid until the next. */
export class PackReader {
  readonly bytes: Buffer
  readonly rows: number
  readonly texts: readonly string[]
  readonly tenant: string
  readonly traceId: string
  readonly traceIdBytes: Uint8Array
  readonly rule: string
  readonly revision: number
  readonly probability: number
  readonly adjustedCount: number
  readonly offset: number
  readonly partition: number
  /** Where the next row begins. */
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const format = this.bytes[this.at++]
    if (!acceptsVersion('spanPack', format)) throw unlike(format)
    this.rows = this.number()
    const texts = new Array<string>(this.number())
    for (let n = 0; n < texts.length; n++) {
      const length = this.number()
      texts[n] = this.bytes.toString('utf8', this.at, this.at + length)
      this.at += length
    }
    this.texts = texts
    this.tenant = texts[this.number()] as string
    this.traceId = texts[this.number()] as string
    this.traceIdBytes = Buffer.from(this.traceId)
    this.rule = texts[this.number()] as string
    this.revision = this.number()
    this.probability = this.double()
    this.adjustedCount = this.double()
    this.offset = this.double()
    this.partition = this.number()
    if (this.at > this.bytes.length) throw unlike(format)
  }

  number(): number {
    const { bytes } = this
    let byte = bytes[this.at++] as number
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let shift = 7; shift < 35; shift += 7) {
      byte = bytes[this.at++] as number
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw unlike(packFormat)
  }

  signed(): number {
    const value = this.number()
    return (value >>> 1) ^ -(value & 1)
  }

  double(): number {
    const value = this.bytes.readDoubleLE(this.at)
    this.at += 8
    return value
  }

  /** The row as an object, and on to the next. */
  row(): SpanRow {
    const { bytes } = this
    this.at += 4
    const span_id = this.#id()
    const parent = this.#id()
    const start = bytes.readBigInt64LE(this.at)
    const end = bytes.readBigInt64LE(this.at + 8)
    const flags = bytes.readUInt32LE(this.at + 16)
    this.at += 20
    const kind = this.signed()
    const status_code = this.signed()
    const shared = {} as { -readonly [K in (typeof packedTexts)[number]]: never }
    for (const name of packedTexts) shared[name] = this.#text() as never
    const has = bytes[this.at++] as number
    const input_tokens = (has & 1) === 0 ? null : this.double()
    const output_tokens = (has & 2) === 0 ? null : this.double()
    const cost_usd = (has & 4) === 0 ? null : this.double()
    const length = this.number()
    const attributes = bytes.toString('utf8', this.at, this.at + length)
    this.at += length
    return {
      tenant: this.tenant,
      trace_id: this.traceId,
      span_id,
      parent_span_id: parent === '' ? null : parent,
      kind,
      start_time_unix_nano: start,
      end_time_unix_nano: end,
      status_code,
      flags,
      ...shared,
      input_tokens,
      output_tokens,
      cost_usd,
      attributes,
      sampling_rule: this.rule,
      sampling_revision: this.revision,
      sampling_probability: this.probability,
      sampling_adjusted_count: this.adjustedCount,
      sampling_offset: BigInt(this.offset),
      sampling_partition: this.partition,
    }
  }

  /** The span id of the row that begins at `start`. */
  spanIdAt(start: number): string {
    const length = this.bytes[start + 4] as number
    return this.bytes.toString('latin1', start + 5, start + 5 + length)
  }

  /** Its start, as the halves of an INT64. */
  startAt(start: number): { readonly low: number; readonly high: number } {
    const parent = start + 5 + (this.bytes[start + 4] as number)
    const time = parent + 1 + (this.bytes[parent] as number)
    return { low: this.bytes.readUInt32LE(time), high: this.bytes.readInt32LE(time + 4) }
  }

  /** Where the row after the one at `start` begins. */
  after(start: number): number {
    return start + this.bytes.readUInt32LE(start)
  }

  #id(): string {
    const length = this.bytes[this.at] as number
    const start = this.at + 1
    this.at = start + length
    return this.bytes.toString('latin1', start, start + length)
  }

  #text(): string | null {
    const number = this.number()
    return number === 0 ? null : (this.texts[number - 1] as string)
  }
}

function unlike(format: number | undefined): PipelineError {
  return isNewerVersion('spanPack', format)
    ? new PipelineError(
        'CONFIG_INVALID',
        `span rows have format ${format}, this release reads up to ${packFormat}; run the newer release`,
      )
    : new PipelineError('DATA_CORRUPT', 'the bytes are no span rows')
}
