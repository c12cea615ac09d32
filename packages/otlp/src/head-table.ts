// Hot: written for every ResourceSpans and ScopeSpans of a scan.
import { PipelineError } from '@winnow/runtime'
import { grown } from './grown.ts'

/**
 * The envelopes of one level, ResourceSpans or ScopeSpans. The head of an envelope is every field
 * but the repeated one that holds its children: resource or scope, schema URL, and what a newer
 * OTLP may add. It is kept as ranges of the source and copied, never re-encoded.
 */
export class HeadTable {
  length = 0
  /** The envelope as a field of its parent: tag, length, message. */
  start = new Uint32Array(firstRows)
  end = new Uint32Array(firstRows)
  parent = new Uint32Array(firstRows)
  /** First and last piece of the head in the {@link PieceList}; -1: none. */
  pieceFirst = new Int32Array(firstRows)
  pieceLast = new Int32Array(firstRows)
  headBytes = new Uint32Array(firstRows)
  /** First and last hit of the attributes in the chain of the hits' `next`; -1: none. */
  hitFirst = new Int32Array(firstRows)
  hitLast = new Int32Array(firstRows)

  readonly #name: string
  readonly #rowsMax: number
  #capacity = firstRows
  #limit = 0

  constructor(name: string, rowsMax: number) {
    this.#name = name
    this.#rowsMax = rowsMax
  }

  /** Starts a scan: its rows count from here. */
  begin(): number {
    this.#limit = this.length + this.#rowsMax
    return this.length
  }

  open(parent: number, start: number, end: number): number {
    const row = this.length
    if (row >= this.#limit) throw this.#tooMany()
    if (row === this.#capacity) this.#grow()
    this.length = row + 1
    this.start[row] = start
    this.end[row] = end
    this.parent[row] = parent
    this.pieceFirst[row] = -1
    this.pieceLast[row] = -1
    this.headBytes[row] = 0
    this.hitFirst[row] = -1
    this.hitLast[row] = -1
    return row
  }

  /** Adds a field of the head; one that touches the piece before it only lengthens it. */
  addPiece(row: number, pieces: PieceList, start: number, end: number): void {
    this.headBytes[row] = (this.headBytes[row] as number) + (end - start)
    const last = this.pieceLast[row] as number
    if (last >= 0 && pieces.end[last] === start) {
      pieces.end[last] = end
      return
    }
    const piece = pieces.push(start, end)
    this.pieceLast[row] = piece
    if (last < 0) this.pieceFirst[row] = piece
    else pieces.next[last] = piece
  }

  #tooMany(): PipelineError {
    return new PipelineError(
      'PAYLOAD_TOO_LARGE',
      `more than ${this.#rowsMax} ${this.#name} in one request (scanRowsMax); send smaller batches`,
    )
  }

  #grow(): void {
    this.#capacity *= 2
    this.start = grown(this.start, this.#capacity)
    this.end = grown(this.end, this.#capacity)
    this.parent = grown(this.parent, this.#capacity)
    this.pieceFirst = grown(this.pieceFirst, this.#capacity)
    this.pieceLast = grown(this.pieceLast, this.#capacity)
    this.headBytes = grown(this.headBytes, this.#capacity)
    this.hitFirst = grown(this.hitFirst, this.#capacity)
    this.hitLast = grown(this.hitLast, this.#capacity)
  }
}

/** Ranges of source bytes, chained. Children part the pieces of a head, so their limits bound these. */
export class PieceList {
  length = 0
  start = new Uint32Array(firstRows)
  end = new Uint32Array(firstRows)
  /** -1: the last one of its chain. */
  next = new Int32Array(firstRows)
  #capacity = firstRows

  push(start: number, end: number): number {
    const row = this.length
    if (row === this.#capacity) this.#grow()
    this.length = row + 1
    this.start[row] = start
    this.end[row] = end
    this.next[row] = -1
    return row
  }

  #grow(): void {
    this.#capacity *= 2
    this.start = grown(this.start, this.#capacity)
    this.end = grown(this.end, this.#capacity)
    this.next = grown(this.next, this.#capacity)
  }
}

const firstRows = 256
