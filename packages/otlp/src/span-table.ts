// Hot: the columns that a scan fills and that grouping and folding read.
import { PipelineError } from '@winnow/runtime'
import { AttributeHits } from './attribute-hits.ts'
import { grown } from './grown.ts'
import { HeadTable, PieceList } from './head-table.ts'

/** Spans, ResourceSpans and ScopeSpans, of each, in one scan: an empty one is 2 bytes sent and 110 here. */
export const scanRowsMax = 262_144

/** Why a span cannot be taken. Its row stays, so that the answer can name it. */
export const spanProblem = {
  none: 0,
  /** The trace id is not 16 bytes, or all zero. */
  traceId: 1,
  /** The span id is not 8 bytes, or all zero. */
  spanId: 2,
  /** The fields are those of a log record: logs were posted as traces. */
  logRecord: 3,
  /** Larger than `spanBytesMax`. */
  spanTooLarge: 4,
  /** Its resource or its scope is larger than `headBytesMax`. */
  headTooLarge: 5,
} as const

export type SpanProblem = (typeof spanProblem)[keyof typeof spanProblem]

/**
 * The spans of one or more scanned sources, one column a field, no object a span. Reused from batch
 * to batch: columns grow and never shrink, and `clear` forgets the rows.
 *
 *     spans    row ──▶ scope ──▶ resource ──▶ source (the bytes that all positions count in)
 *     hits     spans: contiguous, hitFrom..hitTo · resources and scopes: a chain
 *
 * 64-bit numbers are two columns (hi, lo); ids are big-endian words, so that comparing and printing
 * them needs no bytes. Columns are replaced when they grow: read them from the table after a scan.
 */
export class SpanTable {
  /** Rows in use. Columns are longer, and zero from here on. */
  length = 0
  /** Rows whose `problem` is not none. */
  problems = 0
  /** Links of all spans since `clear`, of those that were rolled back too: whether a row has to be looked for. */
  links = 0
  /** The scanned buffers, each a view of the caller's bytes, which must stay as they are until `clear`. */
  readonly sources: Buffer[] = []
  readonly resources: HeadTable
  /** A scope's `parent` is its resource; a resource's is its source. */
  readonly scopes: HeadTable
  readonly pieces = new PieceList()
  readonly hits = new AttributeHits()

  /** The span as a field of its ScopeSpans: tag, length, message. */
  fieldStart = new Uint32Array(firstRows)
  start = new Uint32Array(firstRows)
  end = new Uint32Array(firstRows)
  resource = new Uint32Array(firstRows)
  scope = new Uint32Array(firstRows)
  problem = new Uint8Array(firstRows)
  trace0 = new Uint32Array(firstRows)
  trace1 = new Uint32Array(firstRows)
  trace2 = new Uint32Array(firstRows)
  trace3 = new Uint32Array(firstRows)
  /** Where the 16 bytes of a valid trace id lie. */
  traceAt = new Uint32Array(firstRows)
  span0 = new Uint32Array(firstRows)
  span1 = new Uint32Array(firstRows)
  /** Both 0: no parent. A parent id that is not 8 bytes long counts as none. */
  parent0 = new Uint32Array(firstRows)
  parent1 = new Uint32Array(firstRows)
  startHi = new Uint32Array(firstRows)
  startLo = new Uint32Array(firstRows)
  endHi = new Uint32Array(firstRows)
  endLo = new Uint32Array(firstRows)
  /** OpenTelemetry's numbers; one that does not fit into 8 bits reads 255. */
  kind = new Uint8Array(firstRows)
  status = new Uint8Array(firstRows)
  flags = new Uint32Array(firstRows)
  nameStart = new Uint32Array(firstRows)
  nameEnd = new Uint32Array(firstRows)
  stateStart = new Uint32Array(firstRows)
  stateEnd = new Uint32Array(firstRows)
  attributeCount = new Uint32Array(firstRows)
  eventCount = new Uint32Array(firstRows)
  linkCount = new Uint32Array(firstRows)
  hitFrom = new Uint32Array(firstRows)
  hitTo = new Uint32Array(firstRows)

  readonly #rowsMax: number
  #capacity = firstRows
  /** The row at which `open` has to stop and look: the columns' end, or this scan's limit. */
  #stop = 0
  #limit = 0
  readonly #mark = {
    spans: 0,
    problems: 0,
    sources: 0,
    resources: 0,
    scopes: 0,
    pieces: 0,
    hits: 0,
  }

  constructor(rowsMax: number = scanRowsMax) {
    this.#rowsMax = rowsMax
    this.resources = new HeadTable('ResourceSpans', rowsMax)
    this.scopes = new HeadTable('ScopeSpans', rowsMax)
  }

  /** Forgets all rows and sources; memory is kept. */
  clear(): void {
    this.#truncate(0, 0)
    this.links = 0
    this.sources.length = 0
    this.resources.length = 0
    this.scopes.length = 0
    this.pieces.length = 0
    this.hits.length = 0
  }

  /** Adds a source and remembers where the table stood. Returns the source's index. */
  begin(source: Uint8Array): number {
    const mark = this.#mark
    mark.spans = this.length
    mark.problems = this.problems
    mark.sources = this.sources.length
    mark.resources = this.resources.begin()
    mark.scopes = this.scopes.begin()
    mark.pieces = this.pieces.length
    mark.hits = this.hits.length
    this.#limit = this.length + this.#rowsMax
    this.#stop = Math.min(this.#capacity, this.#limit)
    return this.sources.push(viewOf(source)) - 1
  }

  /** Takes back everything since `begin`: a bad request leaves nothing behind in a shared table. */
  rollback(): void {
    const mark = this.#mark
    this.#truncate(mark.spans, mark.problems)
    this.sources.length = mark.sources
    this.resources.length = mark.resources
    this.scopes.length = mark.scopes
    this.pieces.length = mark.pieces
    this.hits.length = mark.hits
  }

  /** The next row, all zero. */
  open(): number {
    if (this.length >= this.#stop) this.#grow()
    return this.length++
  }

  sourceOf(row: number): Buffer {
    const resource = this.resource[row] as number
    return this.sources[this.resources.parent[resource] as number] as Buffer
  }

  #truncate(length: number, problems: number): void {
    for (const column of this.#columns()) column.fill(0, length, this.length)
    this.length = length
    this.problems = problems
  }

  #grow(): void {
    if (this.length >= this.#limit) {
      throw new PipelineError(
        'PAYLOAD_TOO_LARGE',
        `more than ${this.#rowsMax} spans in one request (scanRowsMax); send smaller batches`,
      )
    }
    this.#capacity *= 2
    this.#stop = Math.min(this.#capacity, this.#limit)
    const columns = this as unknown as Record<string, Uint8Array | Uint32Array>
    for (const name of columnNames) {
      columns[name] = grown(columns[name] as Uint8Array | Uint32Array, this.#capacity)
    }
  }

  #columns(): (Uint8Array | Uint32Array)[] {
    const columns = this as unknown as Record<string, Uint8Array | Uint32Array>
    return columnNames.map(name => columns[name] as Uint8Array | Uint32Array)
  }
}

const firstRows = 1024

type ColumnName = {
  [K in keyof SpanTable]: SpanTable[K] extends Uint8Array | Uint32Array ? K : never
}[keyof SpanTable]

/** Typed so that a column which is not listed, and so would neither grow nor be cleared, fails to compile. */
const columnSet: Record<ColumnName, true> = {
  fieldStart: true,
  start: true,
  end: true,
  resource: true,
  scope: true,
  problem: true,
  trace0: true,
  trace1: true,
  trace2: true,
  trace3: true,
  traceAt: true,
  span0: true,
  span1: true,
  parent0: true,
  parent1: true,
  startHi: true,
  startLo: true,
  endHi: true,
  endLo: true,
  kind: true,
  status: true,
  flags: true,
  nameStart: true,
  nameEnd: true,
  stateStart: true,
  stateEnd: true,
  attributeCount: true,
  eventCount: true,
  linkCount: true,
  hitFrom: true,
  hitTo: true,
}
const columnNames = Object.keys(columnSet)

/** A Buffer over the same bytes: its `copy` and `toString` take positions and make no view first. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
