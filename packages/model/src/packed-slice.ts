// Hot: one object a slice of every summary and decision, for readers that keep them.
import type { Slice } from './evidence.ts'
import { parseFactLists, type SliceLists } from './fact-lists.ts'
import { areRows } from './fact-rows.ts'
import { type FactTextSource, factToken } from './fact-tokens.ts'
import type { RootFact, SliceFacts, SpanOutcome } from './facts.ts'
import { idText, nanosText } from './number-text.ts'
import { PackedSliceReader, packedBytes, timeWord, timeWordAt } from './packed-slice-reader.ts'
import { endOfSpan, readSpans, type SpanColumns, wordAt } from './packed-spans.ts'
import { blockAt, spanBlockBytes } from './span-blocks.ts'
import type { SpanRef } from './span-ref.ts'

/**
 * A slice as it was read, with its place at hand and its facts still packed. Spreading one leaves the
 * facts behind: whoever wants to change a slice packs a literal one (see slice-packer.ts).
 */
export class PackedSlice implements Slice {
  readonly ref: SpanRef
  readonly appendedAtMs: number
  /** As records carry it, in base64. */
  readonly text: string
  readonly #bytes: Uint8Array
  readonly #sharedFrom: number
  readonly #spansFrom: number
  readonly #ownFrom: number
  readonly #ownTo: number
  /** null: broken. */
  #lists: SliceLists | null | undefined

  /** Of the slice that the reader stands at, whose bytes stay as they are. */
  constructor(at: PackedSliceReader, text: string) {
    const { partition, offset, start, length, spanCount } = at
    this.ref = { partition, offset, start, length, spanCount }
    this.appendedAtMs = at.appendedAtMs
    this.text = text
    this.#bytes = at.bytes
    this.#sharedFrom = at.sharedFrom
    this.#spansFrom = at.spansFrom
    this.#ownFrom = at.ownFrom
    this.#ownTo = at.ownTo
  }

  /** Whether the texts of its facts are what they should be. */
  get isWhole(): boolean {
    if (this.#lists === undefined) this.#lists = this.#readLists()
    return this.#lists !== null
  }

  /** Parsed when they are asked for; none where they are not whole. */
  get lists(): SliceLists {
    if (this.#lists === undefined) this.#lists = this.#readLists()
    return this.#lists ?? noLists
  }

  /** Those of `lists`, which are not parsed where there are none. */
  get outcomes(): readonly SpanOutcome[] {
    for (let at = this.#ownFrom; at < this.#ownTo; at++) {
      if (this.#bytes[at] === outcomesToken) return this.lists.outcomes ?? noOutcomes
    }
    return noOutcomes
  }

  /** Earliest start, Unix milliseconds: good for comparing alone. */
  get startMs(): number {
    const high = timeWordAt(this.#bytes, this.#spansFrom, timeWord.startHigh)
    return (high * 2 ** 32 + timeWordAt(this.#bytes, this.#spansFrom, timeWord.startLow)) / 1e6
  }

  /** Everything spelled out; `lists` and `readSpans` cost a tenth of it. */
  get facts(): SliceFacts {
    const { startNs, endNs } = this
    return { startNs, endNs, spans: this.#blocks().toString('base64'), ...this.lists }
  }

  /** Latest end, Unix milliseconds: good for comparing alone. */
  get endMs(): number {
    const high = timeWordAt(this.#bytes, this.#spansFrom, timeWord.endHigh)
    return (high * 2 ** 32 + timeWordAt(this.#bytes, this.#spansFrom, timeWord.endLow)) / 1e6
  }

  get startNs(): string {
    return this.#nanos(timeWord.startHigh, timeWord.startLow)
  }

  get endNs(): string {
    return this.#nanos(timeWord.endHigh, timeWord.endLow)
  }

  /** Its spans, into rows from `row` on. */
  readSpans(columns: SpanColumns, row: number): void {
    readSpans(this.#bytes, this.#spansFrom, this.ref.spanCount, columns, row)
  }

  toJSON(): string {
    return this.text
  }

  #nanos(high: number, low: number): string {
    return nanosText(
      timeWordAt(this.#bytes, this.#spansFrom, high),
      timeWordAt(this.#bytes, this.#spansFrom, low),
    )
  }

  #readLists(): SliceLists | null {
    const shared = sharedLists(this.#bytes, this.#sharedFrom, this.#spansFrom + timeWord.startHigh)
    if (shared === null || this.#ownFrom === this.#ownTo) return shared
    const source = new SliceSource(this, this.#bytes, this.#spansFrom)
    const text = textOf(this.#bytes, this.#ownFrom, this.#ownTo)
    const own = parseLists(text, source)
    return own === null || shared === noLists ? own : withShared(own, shared)
  }

  #blocks(): Buffer {
    const { spanCount } = this.ref
    const columns = spanColumns(spanCount)
    this.readSpans(columns, 0)
    const blocks = Buffer.alloc(spanCount * spanBlockBytes)
    for (let span = 0; span < spanCount; span++) {
      const block = blocks.subarray(span * spanBlockBytes)
      block.writeUInt32BE(columns.idHigh[span] as number, blockAt.spanId)
      block.writeUInt32BE(columns.idLow[span] as number, blockAt.spanId + 4)
      block.writeUInt32LE(columns.opHash[span] as number, blockAt.opHash)
      block.writeUInt32LE(columns.startOffsetMs[span] as number, blockAt.startOffsetMs)
      block.writeUInt32LE(columns.inputTokens[span] as number, blockAt.inputTokens)
      block.writeUInt32LE(columns.outputTokens[span] as number, blockAt.outputTokens)
      block.writeDoubleLE(columns.costUsd[span] as number, blockAt.costUsd)
      block.writeUInt32LE(columns.flags[span] as number, blockAt.flags)
    }
    return blocks
  }
}

/** The slices of the text between the brackets of `slices`; undefined where one is none. */
export function packedSlices(text: string): PackedSlice[] | undefined {
  // Memory of their own, one for all of a record: they live as long as one of them.
  reader.begin(text, Buffer.allocUnsafe(packedBytes(text)))
  const slices: PackedSlice[] = []
  while (reader.next()) {
    slices.push(new PackedSlice(reader, text.slice(reader.textFrom, reader.textTo)))
  }
  return reader.isBroken ? undefined : slices
}

const reader = new PackedSliceReader()

/**
 * What the slices of the text state of outcomes, in their order, for who wants nothing else of them;
 * undefined where one is no slice.
 */
export function packedOutcomes(text: string): readonly SpanOutcome[] | undefined {
  let outcomes = noOutcomes
  outcomesReader.begin(text)
  while (outcomesReader.next()) {
    const own = new PackedSlice(outcomesReader, '').outcomes
    if (own.length > 0) outcomes = outcomes.length === 0 ? own : [...outcomes, ...own]
  }
  return outcomesReader.isBroken ? undefined : outcomes
}

/** Memory of its own, which the next text takes again. */
const outcomesReader = new PackedSliceReader()

/** The same of the texts of a parsed record, whatever they are. */
export function packedSlicesOf(texts: readonly unknown[]): PackedSlice[] | undefined {
  for (let at = 0; at < texts.length; at++) if (typeof texts[at] !== 'string') return undefined
  return packedSlices(texts.map(text => JSON.stringify(text)).join(','))
}

/** The parsed JSON of any record with its slices as such, where it has some: for tests and tools. */
export function unpackSlices<T>(record: T): T {
  const texts = isObject(record) && 'slices' in record ? record.slices : undefined
  const slices = Array.isArray(texts) ? packedSlicesOf(texts) : undefined
  return slices === undefined ? record : { ...record, slices }
}

/** Rows for so many spans. */
export function spanColumns(rows: number): SpanColumns {
  return {
    idHigh: new Uint32Array(rows),
    idLow: new Uint32Array(rows),
    opHash: new Uint32Array(rows),
    startOffsetMs: new Uint32Array(rows),
    inputTokens: new Uint32Array(rows),
    outputTokens: new Uint32Array(rows),
    costUsd: new Float64Array(rows),
    flags: new Uint8Array(rows),
  }
}

const noLists: SliceLists = {}
const noOutcomes: readonly SpanOutcome[] = []
const outcomesToken = factToken.outcomes.charCodeAt(0)

/** What shared texts say, by a hash of their bytes: the last ones of each place. */
const sharedMemo: ({ readonly bytes: Uint8Array; readonly lists: SliceLists } | undefined)[] =
  Array.from({ length: 256 })
const sharedMemoBytesMax = 512

function sharedLists(bytes: Uint8Array, from: number, to: number): SliceLists | null {
  if (from === to) return noLists
  let hash = 0
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  const place = (hash ^ (hash >>> 15)) & 255
  const known = sharedMemo[place]
  if (known !== undefined && isSame(known.bytes, bytes, from, to)) return known.lists
  const lists = parseLists(textOf(bytes, from, to), undefined)
  if (lists !== null && to - from <= sharedMemoBytesMax) {
    sharedMemo[place] = { bytes: bytes.slice(from, to), lists }
  }
  return lists
}

function isSame(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (known.length !== to - from) return false
  for (let at = from; at < to; at++) if (known[at - from] !== bytes[at]) return false
  return true
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString()
}

/** What the texts of a slice name: its start, and ids of its spans by their number, in rising order mostly. */
class SliceSource implements FactTextSource {
  readonly #slice: PackedSlice
  readonly #bytes: Uint8Array
  readonly #from: number
  #span = 0
  #at: number

  constructor(slice: PackedSlice, bytes: Uint8Array, from: number) {
    this.#slice = slice
    this.#bytes = bytes
    this.#from = from
    this.#at = from
  }

  get startNs(): string {
    return this.#slice.startNs
  }

  idOf(span: number): string | undefined {
    if (span >= this.#slice.ref.spanCount) return undefined
    if (span < this.#span) {
      this.#span = 0
      this.#at = this.#from
    }
    for (; this.#span < span; this.#span++) this.#at = endOfSpan(this.#bytes, this.#at)
    return idText(wordAt(this.#bytes, this.#at + 1), wordAt(this.#bytes, this.#at + 5))
  }
}

/** What a shared text says takes the place of what the slice's own does. */
function withShared(own: Writable<SliceLists>, shared: SliceLists): SliceLists {
  for (const key in shared) if (!sharedKeys.has(key)) return { ...own, ...shared }
  // One by one: to copy all members of two objects together costs more than parsing them.
  if (shared.services !== undefined) own.services = shared.services
  if (shared.experiment !== undefined) own.experiment = shared.experiment
  if (shared.variant !== undefined) own.variant = shared.variant
  return own
}

const sharedKeys: ReadonlySet<string> = new Set(['services', 'experiment', 'variant'])

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** null: they are none. */
function parseLists(text: string, source: FactTextSource | undefined): SliceLists | null {
  const lists = parseFactLists(text, source)
  return lists !== undefined && areLists(lists) ? lists : null
}

type Loose<T> = { readonly [K in keyof T]?: unknown }

function areLists(lists: Loose<SliceLists>): lists is SliceLists {
  const { roots, errors, outcomes, services, experiment, variant, rv, th, ignored } = lists
  const { columns, rows, rootRows } = lists
  return (
    isTextOrNone(experiment) &&
    isTextOrNone(variant) &&
    isTextOrNone(rv) &&
    isTextOrNone(th) &&
    (ignored === undefined || isNumber(ignored)) &&
    isListOrNone(services, isTextOrNone) &&
    isListOrNone(roots, isRoot) &&
    isListOrNone(errors, isObject) &&
    isListOrNone(outcomes, isOutcome) &&
    isListOrNone(columns, isText) &&
    areRows(rows, rootRows)
  )
}

function isListOrNone(value: unknown, isOne: (value: unknown) => boolean): boolean {
  if (value === undefined) return true
  if (!Array.isArray(value)) return false
  for (let i = 0; i < value.length; i++) if (!isOne(value[i])) return false
  return true
}

const isTextOrNone = (value: unknown): boolean => value === undefined || typeof value === 'string'
const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value)
const isText = (value: unknown): boolean => typeof value === 'string' && value.length > 0

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const isOutcome = (value: unknown): boolean =>
  isObject(value) && isText((value as Loose<SpanOutcome>).name)

function isRoot(value: unknown): boolean {
  if (!isObject(value)) return false
  const { spanId, durationMs, startNs } = value as Loose<RootFact>
  return isText(spanId) && isNumber(durationMs) && isDecimal(startNs)
}

/** At most 20 digits without a leading zero. */
function isDecimal(value: unknown): boolean {
  if (typeof value !== 'string' || value.length === 0 || value.length > 20) return false
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < 0x30 || code > 0x39) return false
  }
  return value.length === 1 || value.charCodeAt(0) !== 0x30
}
