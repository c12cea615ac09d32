// Hot: every kept span passes here once for both groups.
import { compareRefs, refKey, type SpanRef } from '@winnow/model'
import { type Log, PipelineError } from '@winnow/runtime'
import { emptyPack, type HotBody, type RowDecision, SpanPack, spanRows } from '@winnow/storage'
import type { Shelf } from './abreast.ts'
import { type Chain, noChain } from './chain.ts'
import { type FoldedRecord, refsToWrite } from './decisions-reader.ts'
import { packBytes } from './row-bytes.ts'
import { decodeSlice, type SliceRead, type SliceReader, type SliceSpans } from './slice-reader.ts'

/**
 * A folded record, or a part of one: a decision over many large slices is read and put in pieces, so
 * that a trace of gigabytes does not have to fit into memory with its text.
 */
export interface Piece {
  readonly record: FoldedRecord
  /** By (offset, start); empty for what adds no spans. */
  readonly refs: readonly SpanRef[]
  /** Of its record. */
  readonly isLast: boolean
  /** Spans of slices of which not even the place is known, see {@link Chain}. */
  readonly spansGone: number
  readonly spansAside: number
}

/** What a piece adds to the stores. */
export interface KeptSpans {
  /** One a span id within the piece, structured level. */
  readonly spans: SpanPack
  readonly bodies: readonly HotBody[]
  readonly slicesRead: number
  /** Of these slices, as clients sent them. */
  readonly bytesRead: number
  /** Spans of slices that retention had passed. */
  readonly spansGone: number
  /** Spans of slices whose bytes are none of this trace, or none at all. */
  readonly spansAside: number
  /** Rows that were here and are left out since their trace is erased. */
  readonly spansErased?: number
}

const nothing: KeptSpans = {
  spans: emptyPack,
  bodies: [],
  slicesRead: 0,
  bytesRead: 0,
  spansGone: 0,
  spansAside: 0,
}

/** By record, first and last slice, and how many; what one weighs is the bytes of its rows and bodies. */
export type KeptShelf = Shelf<string, Promise<KeptSpans>>

/**
 * The spans of kept traces as rows. Both groups of a writer share one reader: what one has read waits
 * in memory until the other has asked for it, so that a slice is fetched and decoded once for both.
 */
export class KeptReader {
  readonly #slices: SliceReader
  readonly #log: Log
  readonly #waiting: KeptShelf

  constructor(slices: SliceReader, waiting: KeptShelf, log: Log) {
    this.#slices = slices
    this.#log = log
    this.#waiting = waiting
  }

  /**
   * A window of pieces, in their order. Rejects with what may pass. A slice that is none of the trace
   * is logged and set aside.
   */
  async read(partition: number, window: readonly Piece[]): Promise<KeptSpans[]> {
    const found: KeptSpans[] = []
    const reads: Promise<void>[] = []
    const expect = (at: number, reading: Promise<KeptSpans>): void => {
      const place = (kept: KeptSpans): void => {
        found[at] = kept
      }
      reads.push(reading.then(place))
    }
    const unknown: { readonly at: number; readonly key: string; readonly piece: Piece }[] = []
    for (const [at, piece] of window.entries()) {
      const [first] = piece.refs
      const last = piece.refs.at(-1)
      if (piece.record.logged === undefined || first === undefined || last === undefined) {
        const { spansGone, spansAside } = piece
        found[at] = spansGone + spansAside > 0 ? { ...nothing, spansGone, spansAside } : nothing
        continue
      }
      // The groups cut by limits of their own: another piece may begin with the same slice.
      const key = `${piece.record.offset}:${refKey(first)}-${refKey(last)}:${piece.refs.length}`
      const known = this.#waiting.take(partition, key)
      if (known === undefined) unknown.push({ at, key, piece })
      else expect(at, known)
    }
    const all = this.#readAll(
      partition,
      unknown.map(({ piece }) => piece),
    )
    for (const [n, { at, key, piece }] of unknown.entries()) {
      const reading = all.then(kept => kept[n] as KeptSpans)
      this.#waiting.put(partition, piece.record.offset, key, reading, bytesOf(piece.refs))
      reading.then(
        kept => this.#waiting.reweigh(partition, key, reading, weightOf(kept)),
        () => this.#waiting.reweigh(partition, key, reading, undefined),
      )
      expect(at, reading)
    }
    await Promise.all(reads)
    return found
  }

  /** One look at the bus for all of them. */
  async #readAll(partition: number, pieces: readonly Piece[]): Promise<KeptSpans[]> {
    if (pieces.length === 0) return []
    const slices = await this.#slices.read(
      pieces.flatMap(({ refs }) => refs),
      pieces.flatMap(({ record, refs }) => refs.map(() => record.logged?.decision.traceId ?? '')),
    )
    let next = 0
    return pieces.map(piece => {
      next += piece.refs.length
      return this.#keptOf(partition, piece, slices.slice(next - piece.refs.length, next))
    })
  }

  #keptOf(partition: number, piece: Piece, slices: readonly SliceRead[]): KeptSpans {
    const { offset, logged } = piece.record
    let { spansGone, spansAside } = piece
    if (logged === undefined) return { ...nothing, spansGone, spansAside }
    const { decision } = logged
    const own: (SliceSpans & { kind: 'read' })[] = []
    for (const read of slices) {
      const slice = decodeSlice(read)
      if (slice.kind === 'read') own.push(slice)
      else if (slice.kind === 'gone') spansGone += slice.ref.spanCount
      else {
        spansAside += slice.ref.spanCount
        this.#setAside(slice.ref, decision, slice.error)
      }
    }
    const { spans, foreign } = spansOf(decision, partition, offset, own)
    for (const slice of foreign) {
      spansAside += slice.ref.spanCount
      this.#setAside(
        slice.ref,
        decision,
        new PipelineError('DATA_CORRUPT', 'another trace’s spans'),
      )
    }
    const bodies = own
      .filter(slice => !foreign.includes(slice))
      .map(({ ref, bytes }) => ({ ref: refKey(ref), bytes }))
    const bytesRead = bodies.reduce((sum, { bytes }) => sum + bytes.length, 0)
    return { spans, bodies, slicesRead: bodies.length, bytesRead, spansGone, spansAside }
  }

  #setAside(ref: SpanRef, { traceId }: RowDecision, error: PipelineError): void {
    this.#log.error('writer.slice_set_aside', error, { ref: refKey(ref), traceId })
  }
}

/** What a window may hold, and every piece of it. */
export interface WindowLimits {
  readonly piecesMax: number
  /** Of slices, unless one alone has more. */
  readonly bytesMax: number
}

/**
 * Records as runs of pieces, each to be read, and put, at once. A chain is asked for as its record's
 * turn comes, so that one is in memory at a time; undefined ends it all.
 */
export async function* windowsOf(
  records: Iterable<FoldedRecord>,
  chainOf: (record: FoldedRecord) => Promise<Chain | undefined>,
  { piecesMax, bytesMax }: WindowLimits,
): AsyncGenerator<readonly Piece[]> {
  let window: Piece[] = []
  let bytes = 0
  for (const record of records) {
    const chain = record.logged?.decision.writePrev === true ? await chainOf(record) : noChain
    if (chain === undefined) return
    for (const piece of piecesOf(record, chain, bytesMax)) {
      const more = bytesOf(piece.refs)
      if (window.length > 0 && (window.length >= piecesMax || bytes + more > bytesMax)) {
        yield window
        window = []
        bytes = 0
      }
      window.push(piece)
      bytes += more
    }
  }
  if (window.length > 0) yield window
}

/** A record as pieces of at most `bytesMax` bytes of slices each, unless one slice alone has more. */
export function piecesOf(record: FoldedRecord, chain: Chain, bytesMax: number): Piece[] {
  const refs = refsOf(record, chain)
  const { spansGone, spansAside } = chain
  if (refs.length === 0) return [{ record, refs, isLast: true, spansGone, spansAside }]
  const parts: SpanRef[][] = [[]]
  let bytes = 0
  for (const ref of refs) {
    if (bytes > 0 && bytes + ref.length > bytesMax) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)?.push(ref)
    bytes += ref.length
  }
  return parts.map((part, at) => {
    const isLast = at === parts.length - 1
    return { record, refs: part, isLast, ...(isLast ? { spansGone, spansAside } : noGone) }
  })
}

const noGone = { spansGone: 0, spansAside: 0 }

function refsOf({ logged }: FoldedRecord, { refs }: Chain): SpanRef[] {
  if (logged === undefined) return []
  const own = refsToWrite(logged)
  if (refs.length === 0) return own.sort(compareRefs)
  return [...new Map([...refs, ...own].map(ref => [refKey(ref), ref])).values()].sort(compareRefs)
}

/** Where one slice is another trace's, the others still have their rows. */
function spansOf(
  decision: RowDecision,
  partition: number,
  offset: number,
  slices: readonly (SliceSpans & { kind: 'read' })[],
): { readonly spans: SpanPack; readonly foreign: readonly SliceSpans[] } {
  try {
    return { spans: SpanPack.of(spanRows(decision, partition, offset, slices)), foreign: [] }
  } catch (error) {
    if (!(error instanceof PipelineError && error.code === 'DATA_CORRUPT')) throw error
    const isForeign = ({ data }: SliceSpans & { kind: 'read' }): boolean =>
      data.resourceSpans.some(({ scopeSpans }) =>
        scopeSpans.some(({ spans }) => spans.some(span => span.traceId !== decision.traceId)),
      )
    const foreign = slices.filter(isForeign)
    const own = slices.filter(slice => !foreign.includes(slice))
    return { spans: SpanPack.of(spanRows(decision, partition, offset, own)), foreign }
  }
}

function bytesOf(refs: readonly SpanRef[]): number {
  return refs.reduce((sum, ref) => sum + ref.length, 0)
}

function weightOf({ spans, bodies }: KeptSpans): number {
  return bodies.reduce((sum, { bytes }) => sum + bytes.length, packBytes(spans))
}
