// Hot where a rule asks for columns, and not there otherwise: a text a span, nothing that stays.
import { factTextBytesMax, ownColumn, rowsBytesMax, rowsMax } from '@winnow/model'
import { type AttributeHits, attributeLevel, type SpanTable, valueType } from '@winnow/otlp'
import { clearTextWordsMax, isClearText } from '@winnow/privacy'
import { type FactInterest, hitKind } from './fact-interest.ts'
import { knownTexts } from './known-texts.ts'

/** There, and of no use to a rule. */
const hidden = '{}'

/** What the rows of other spans leave to those of roots. */
const otherRowsMax = (rowsMax * 3) / 4
const otherBytesMax = (rowsBytesMax * 3) / 4

/**
 * The distinct rows of one slice's spans, as JSON. Spans of one kind have the same row, so that a slice
 * has few; what is past the limits is left out and `isTruncated` says so.
 */
export class SpanRows {
  isTruncated = false
  /** The member `columns` of a slice's facts, as it begins with a comma. */
  readonly columnsText: string
  readonly #wanted: FactInterest
  readonly #cells: string[]
  readonly #fields: readonly SpanField[]
  readonly #rows = new Map<string, number>()
  readonly #rootRows: string[] = []
  #bytes = 0

  constructor(wanted: FactInterest) {
    this.#wanted = wanted
    this.columnsText = `,"columns":${JSON.stringify(wanted.columns)}`
    this.#cells = wanted.columns.map(() => 'null')
    this.#fields = fieldsOf(wanted.columns)
  }

  clear(): void {
    this.isTruncated = false
    this.#rows.clear()
    this.#rootRows.length = 0
    this.#bytes = 0
  }

  /** `rootId` is the id of a span that may be the root, as JSON in tokens; '' for any other. */
  addSpan(table: SpanTable, source: Buffer, row: number, rootId: string): void {
    const number = this.#place(this.#text(table, source, row), rootId !== '')
    if (number >= 0 && rootId !== '') this.#rootRows.push(`[${rootId},${number}]`)
  }

  /** The members `rows` and `rootRows`. */
  get text(): string {
    const rows = `,"rows":[${[...this.#rows.keys()].join(',')}]`
    return this.#rootRows.length === 0 ? rows : `${rows},"rootRows":[${this.#rootRows.join(',')}]`
  }

  /** The number of the row; -1 where there is no room for it. */
  #place(text: string, isRoot: boolean): number {
    const known = this.#rows.get(text)
    if (known !== undefined) return known
    const bytes = this.#bytes + Buffer.byteLength(text) + 1
    const hasRoom = isRoot
      ? this.#rows.size < rowsMax && bytes <= rowsBytesMax
      : this.#rows.size < otherRowsMax && bytes <= otherBytesMax
    if (!hasRoom) {
      this.isTruncated = true
      return -1
    }
    this.#bytes = bytes
    this.#rows.set(text, this.#rows.size)
    return this.#rows.size - 1
  }

  /** Cells at the end that are null are left out: most spans have few of what is asked for. */
  #text(table: SpanTable, source: Buffer, row: number): string {
    const cells = this.#cells
    cells.fill('null')
    const { hits, resources } = table
    const resource = table.resource[row] as number
    for (let hit = resources.hitFirst[resource] as number; hit >= 0; hit = hits.next[hit] as number)
      this.#take(hits, hit, source)
    const hitTo = table.hitTo[row] as number
    for (let hit = table.hitFrom[row] as number; hit < hitTo; hit++) {
      if (hits.level[hit] === attributeLevel.span) this.#take(hits, hit, source)
    }
    for (const { column, read } of this.#fields) cells[column] = read(table, source, row)
    let count = cells.length
    while (count > 0 && cells[count - 1] === 'null') count--
    return `[${count === cells.length ? cells.join(',') : cells.slice(0, count).join(',')}]`
  }

  #take(hits: AttributeHits, hit: number, source: Buffer): void {
    const kind = hitKind(hits.key[hit] as number, hits.level[hit] as number)
    const columns = this.#wanted.columnsOf[kind] as readonly number[]
    for (let at = 0; at < columns.length; at++) {
      this.#cells[columns[at] as number] = cellOf(source, hits, hit)
    }
  }
}

/** As JSON. */
function cellOf(source: Buffer, hits: AttributeHits, hit: number): string {
  const number = hits.number[hit] as number
  switch (hits.type[hit]) {
    case valueType.string:
      return textOf(source, hits.start[hit] as number, hits.end[hit] as number)
    case valueType.bool:
      return number === 1 ? 'true' : 'false'
    case valueType.int:
    case valueType.double:
      return Number.isFinite(number) ? `${number}` : hidden
    default:
      return hidden
  }
}

function textOf(source: Buffer, start: number, end: number): string {
  if (end - start > factTextBytesMax) return hidden
  if (start === end) return '""'
  return isProse(source, start, end) ? hidden : knownTexts.jsonText(source, start, end)
}

/** Hardly any text may have as many words: a string is made of none but those. */
function isProse(source: Buffer, start: number, end: number): boolean {
  let gaps = 0
  for (let at = start; at < end; at++) {
    const byte = source[at] as number
    // White space in UTF-8 begins with one of these.
    if (byte <= 0x20 || byte === 0xc2 || byte === 0xe3) gaps++
  }
  return gaps >= clearTextWordsMax && !isClearText(source.toString('utf8', start, end))
}

interface SpanField {
  readonly column: number
  readonly read: (table: SpanTable, source: Buffer, row: number) => string
}

function fieldsOf(columns: readonly string[]): SpanField[] {
  return columns.flatMap((name, column) => {
    if (!name.startsWith(':')) return []
    const read = name.startsWith(ownColumn.statePrefix)
      ? stateReader(name.slice(ownColumn.statePrefix.length))
      : readers[name]
    return read === undefined ? [] : [{ column, read }]
  })
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const statuses = ['UNSET', 'OK', 'ERROR']

const readers: Readonly<Record<string, SpanField['read']>> = {
  [ownColumn.name]: ({ nameStart, nameEnd }, source, row) =>
    textOf(source, nameStart[row] as number, nameEnd[row] as number),
  [ownColumn.kind]: ({ kind }, _source, row) => `"${kinds[kind[row] as number] ?? kinds[0]}"`,
  [ownColumn.status]: ({ status }, _source, row) =>
    `"${statuses[status[row] as number] ?? statuses[0]}"`,
  [ownColumn.durationMs]: (table, _source, row) => `${durationMs(table, row)}`,
  [ownColumn.sampled]: ({ flags }, _source, row) => `${((flags[row] as number) & 1) === 1}`,
}

/** 0 when the end lies before the start. */
export function durationMs(table: SpanTable, row: number): number {
  const hi = (table.endHi[row] as number) - (table.startHi[row] as number)
  const ns = hi * 2 ** 32 + (table.endLo[row] as number) - (table.startLo[row] as number)
  return ns > 0 ? ns / 1e6 : 0
}

/** Members of a trace state are `key=value`, with commas between them. */
function stateReader(key: string): SpanField['read'] {
  return ({ stateStart, stateEnd }, source, row) => {
    const [from, to] = [stateStart[row] as number, stateEnd[row] as number]
    if (from === to) return 'null'
    const members = source.toString('utf8', from, to).split(',')
    const member = members.map(one => one.trim()).find(one => one.startsWith(`${key}=`))
    if (member === undefined) return 'null'
    const value = member.slice(key.length + 1)
    const isFact = Buffer.byteLength(value) <= factTextBytesMax && isClearText(value)
    return isFact ? JSON.stringify(value) : hidden
  }
}
