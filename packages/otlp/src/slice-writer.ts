// Hot: every acknowledged byte is copied here once.
import type { ByteSink } from './byte-sink.ts'
import { grown } from './grown.ts'
import type { HeadTable, PieceList } from './head-table.ts'
import type { SpanTable } from './span-table.ts'

/** At most: tag, and a length below 2^28, in bytes. */
export const envelopeBytes = 5

/**
 * Lays out the spans of one slice as ResourceSpans that hold nothing else. Spans of one scope share
 * it, scopes of one resource share that. Bytes are copied as they came; only the two lengths around
 * them are new.
 *
 *     ResourceSpans ─ head of the resource, ScopeSpans ─ head of the scope, span, span …
 *                                           ScopeSpans ─ …
 *     ResourceSpans ─ …
 *
 * A chain of rows is in document order, so that a scope's rows follow one another.
 */
export class SliceWriter {
  readonly #table: SpanTable
  /** Runs of rows of one scope: the first row, the ScopeSpans' length; ResourceSpans' where one begins. */
  #runs = 0
  #runRow = new Uint32Array(firstRuns)
  #scopeBytes = new Uint32Array(firstRuns)
  #resourceBytes = new Uint32Array(firstRuns)

  constructor(table: SpanTable) {
    this.#table = table
  }

  /** Measures the chain that starts at `first`; -1 in `next` ends it. Returns the slice's length. */
  measure(first: number, next: Int32Array): number {
    const { scope, fieldStart, end, scopes } = this.#table
    this.#runs = 0
    let run = -1
    let current = -1
    for (let row = first; row >= 0; row = next[row] as number) {
      const of = scope[row] as number
      if (of !== current) {
        current = of
        run = this.#openRun(row, scopes.headBytes[of] as number)
      }
      this.#scopeBytes[run] =
        (this.#scopeBytes[run] as number) + (end[row] as number) - (fieldStart[row] as number)
    }
    return this.#measureResources()
  }

  /** Writes the chain measured last behind the sink's length, which has the room. */
  write(next: Int32Array, sink: ByteSink): void {
    const { resource, scope, resources, scopes, pieces } = this.#table
    let at = sink.length
    for (let run = 0; run < this.#runs; run++) {
      const first = this.#runRow[run] as number
      const source = this.#table.sourceOf(first)
      const resourceBytes = this.#resourceBytes[run] as number
      if (resourceBytes > 0) {
        at = writeHeader(sink.bytes, at, 10, resourceBytes)
        at = copyHead(sink.bytes, at, source, resources, resource[first] as number, pieces)
      }
      at = writeHeader(sink.bytes, at, 18, this.#scopeBytes[run] as number)
      at = copyHead(sink.bytes, at, source, scopes, scope[first] as number, pieces)
      at = this.#copySpans(sink.bytes, at, source, first, next)
    }
    sink.length = at
  }

  #measureResources(): number {
    const { resource, resources } = this.#table
    let length = 0
    let begin = 0
    while (begin < this.#runs) {
      const of = resource[this.#runRow[begin] as number] as number
      let bytes = resources.headBytes[of] as number
      let run = begin
      while (run < this.#runs && resource[this.#runRow[run] as number] === of) {
        bytes += fieldBytes(this.#scopeBytes[run] as number)
        this.#resourceBytes[run++] = 0
      }
      this.#resourceBytes[begin] = bytes
      length += fieldBytes(bytes)
      begin = run
    }
    return length
  }

  /** Neighbours in the source are one copy. */
  #copySpans(
    target: Buffer,
    from: number,
    source: Buffer,
    first: number,
    next: Int32Array,
  ): number {
    const { scope, fieldStart, end } = this.#table
    const of = scope[first] as number
    let at = from
    let row = first
    while (row >= 0 && scope[row] === of) {
      const start = fieldStart[row] as number
      let stop = end[row] as number
      row = next[row] as number
      while (row >= 0 && fieldStart[row] === stop && scope[row] === of) {
        stop = end[row] as number
        row = next[row] as number
      }
      source.copy(target, at, start, stop)
      at += stop - start
    }
    return at
  }

  #openRun(row: number, headBytes: number): number {
    const run = this.#runs++
    if (run === this.#runRow.length) {
      this.#runRow = grown(this.#runRow, run * 2)
      this.#scopeBytes = grown(this.#scopeBytes, run * 2)
      this.#resourceBytes = grown(this.#resourceBytes, run * 2)
    }
    this.#runRow[run] = row
    this.#scopeBytes[run] = headBytes
    return run
  }
}

const firstRuns = 64

function copyHead(
  target: Buffer,
  from: number,
  source: Buffer,
  heads: HeadTable,
  head: number,
  pieces: PieceList,
): number {
  let at = from
  for (
    let piece = heads.pieceFirst[head] as number;
    piece >= 0;
    piece = pieces.next[piece] as number
  ) {
    const start = pieces.start[piece] as number
    const stop = pieces.end[piece] as number
    source.copy(target, at, start, stop)
    at += stop - start
  }
  return at
}

function writeHeader(target: Buffer, from: number, tag: number, length: number): number {
  let at = from
  target[at++] = tag
  let rest = length
  for (; rest > 127; rest >>>= 7) target[at++] = (rest & 127) | 128
  target[at++] = rest
  return at
}

/** Of a length-delimited field with a tag of one byte. */
function fieldBytes(length: number): number {
  let size = 2 + length
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) size++
  return size
}
