// Hot: every span of the pipeline passes here once. Texts a slice, nothing a span.
import {
  blockFlag,
  factToken,
  fnv1a,
  idText,
  nanosText,
  packedHeadBytesMax,
  spanIdToken,
} from '@winnow/model'
import { attributeLevel, type SpanTable, valueType } from '@winnow/otlp'
import { type CloseTimesFinder, firstLine } from './close-times.ts'
import { type FactInterest, factRole, hitKind, plainInterest } from './fact-interest.ts'
import { FactList } from './fact-list.ts'
import { costOfDetails, countOf, hashWord, numberOf, saturated } from './fact-numbers.ts'
import { knownTexts } from './known-texts.ts'
import { OutcomeFacts } from './outcome-facts.ts'
import { FactsPacker } from './packed-facts.ts'
import { samplingStateOf } from './sampling-state.ts'
import { durationMs, SpanRows } from './span-rows.ts'
import { sharedTexts } from './text-table.ts'
import { VariantFacts } from './variant-facts.ts'

/** What an SDK calls a process that was given no name. */
const unknownService = '"unknown_service"'

/** Shared texts that are found again by comparing, before a table is asked. */
const recentMax = 8

/** What a slice has in common with many: of one service, or '' where it is of none or several. */
interface SharedText {
  readonly service: string
  readonly experiment: string
  readonly variant: string
  readonly text: string
  /** 0: it has none. */
  readonly number: number
}

/** Above this many spans parents are not looked for: it would take their square. */
const parentSearchSpansMax = 2000

/**
 * Turns the rows of one slice into its facts, packed. A function of the slice's bytes alone (protocol
 * E): nothing is remembered from slice to slice but memory to write in.
 */
export class SliceFactsExtractor {
  /** Of the slice that was packed last: whether it has a span without parent, and an entry span. */
  hasRoot = false
  hasEntry = false
  /** The line of `closeTimes` that is the slice's; 0: none. */
  closeTimes = 0
  /** Characters that it takes in a summary, or a few more. */
  jsonLength = 0
  readonly #packer = new FactsPacker()
  readonly #outcomes: OutcomeFacts
  readonly #variants = new VariantFacts()
  readonly #wanted: FactInterest
  /** Undefined where all traces wait alike. */
  readonly #finder: CloseTimesFinder | undefined
  /** Undefined where no rule asks for a column. */
  readonly #rows: SpanRows | undefined
  /** The shared texts of the slices before, and that of this one. */
  readonly #recent: SharedText[] = []
  #nextRecent = 0
  #shared: SharedText = { service: '', experiment: '', variant: '', text: '', number: 0 }
  readonly #services = new FactList()
  /** By resource, from the slice's first one on: its service as JSON. */
  readonly #serviceOf: string[] = []
  /** What matters in a full list are spans without parent. */
  readonly #roots = new FactList()
  readonly #errors = new FactList()
  #ignored = 0
  #rv = ''
  #th = ''
  #firstHi = 0
  #firstLo = 0

  constructor(wanted: FactInterest = plainInterest, finder?: CloseTimesFinder) {
    this.#wanted = wanted
    this.#outcomes = new OutcomeFacts(wanted.outcomes)
    this.#finder = finder
    if (wanted.columns.length > 0) this.#rows = new SpanRows(wanted)
  }

  /**
   * The facts of the rows [from, to) of a table that was scanned with this interest: at least one,
   * of one trace. A view: valid until the next slice.
   */
  pack(table: SpanTable, from: number, to: number): Uint8Array {
    this.#clear()
    this.#findStart(table, from, to)
    this.#readResources(table, from, to)
    this.#packer.begin(to - from, this.#firstHi, this.#firstLo)
    let endHi = 0
    let endLo = 0
    for (let row = from; row < to; row++) {
      this.#readSpan(table, row, from, to)
      const hi = table.endHi[row] as number
      const lo = table.endLo[row] as number
      if (hi > endHi || (hi === endHi && lo > endLo)) {
        endHi = hi
        endLo = lo
      }
    }
    this.#variants.finish()
    this.#findShared()
    const own = this.#ownText()
    const { text, number } = this.#shared
    const facts = this.#packer.finish(endHi, endLo, number, number === 0 ? own + text : own)
    // No character of a string takes more than three bytes.
    const bytes = packedHeadBytesMax + facts.length + (number === 0 ? 0 : 3 * text.length)
    this.jsonLength = 4 * Math.ceil(bytes / 3)
    return facts
  }

  #clear(): void {
    this.#outcomes.clear()
    this.#variants.clear()
    this.#services.clear()
    this.#roots.clear()
    this.#errors.clear()
    this.#rows?.clear()
    this.#ignored = 0
    this.#rv = ''
    this.#th = ''
    this.hasRoot = false
    this.hasEntry = false
    this.closeTimes = 0
  }

  #findStart(table: SpanTable, from: number, to: number): void {
    let firstHi = table.startHi[from] as number
    let firstLo = table.startLo[from] as number
    for (let row = from + 1; row < to; row++) {
      const hi = table.startHi[row] as number
      const lo = table.startLo[row] as number
      if (hi < firstHi || (hi === firstHi && lo < firstLo)) {
        firstHi = hi
        firstLo = lo
      }
    }
    this.#firstHi = firstHi
    this.#firstLo = firstLo
  }

  #readResources(table: SpanTable, from: number, to: number): void {
    const { hits, resources, resource } = table
    const source = table.sourceOf(from)
    const first = resource[from] as number
    const last = resource[to - 1] as number
    for (let at = first; at <= last; at++) {
      let service = unknownService
      for (let hit = resources.hitFirst[at] as number; hit >= 0; hit = hits.next[hit] as number) {
        const kind = hitKind(hits.key[hit] as number, attributeLevel.resource)
        const role = this.#wanted.roles[kind] as number
        if (role === 0) continue
        if (role !== factRole.service) this.#variants.take(source, hits, hit, role)
        else if (hits.type[hit] === valueType.string) {
          service = knownTexts.jsonName(source, hits.start[hit] as number, hits.end[hit] as number)
        }
      }
      this.#serviceOf[at - first] = service
      if (this.#finder !== undefined) {
        this.closeTimes = firstLine(this.closeTimes, this.#finder.ofService(service))
      }
      const isNew = service !== unknownService && !this.#services.has(service)
      if (isNew && this.#services.hasRoom(false)) this.#services.add(service, false)
    }
  }

  #readSpan(table: SpanTable, row: number, from: number, to: number): void {
    const source = table.sourceOf(from)
    const isError = table.status[row] === 2
    const isRoot = table.parent0[row] === 0 && table.parent1[row] === 0
    const isEntry = isEntrySpan(table, row)
    if (isRoot) this.hasRoot = true
    if (isEntry) this.hasEntry = true
    const flags =
      (isError ? blockFlag.error : 0) |
      (isRoot ? blockFlag.root : 0) |
      (isEntry ? blockFlag.entry : 0)
    this.#readHits(table, source, row, from, flags)
    if (isError) this.#addError(table, source, row, from)
    const mayBeRoot = isRoot || (isEntry && !hasParent(table, row, from, to))
    if (mayBeRoot) this.#addRoot(table, source, row, from, isRoot, isError)
    this.#rows?.addSpan(table, source, row, mayBeRoot ? spanIdOf(table, row, from) : '')
    if (table.stateEnd[row] !== table.stateStart[row] && this.#rv === '' && this.#th === '') {
      const state = samplingStateOf(
        source,
        table.stateStart[row] as number,
        table.stateEnd[row] as number,
      )
      this.#rv = state?.rv ?? ''
      this.#th = state?.th ?? ''
    }
  }

  /** Packs the span: its tokens and cost; all else goes to where it belongs. */
  #readHits(table: SpanTable, source: Buffer, row: number, from: number, flags: number): void {
    const { hits } = table
    const { roles, ranks } = this.#wanted
    let input = 0
    let output = 0
    let cost = 0
    let inputRank = noRank
    let outputRank = noRank
    let costRank = noRank
    let spanId = ''
    const hitTo = table.hitTo[row] as number
    for (let hit = table.hitFrom[row] as number; hit < hitTo; hit++) {
      const key = hits.key[hit] as number
      const role = roles[hitKind(key, hits.level[hit] as number)] as number
      const rank = ranks[key] as number
      if (role === 0) continue
      if (role === factRole.inputTokens) {
        const value = this.#number(countOf(source, hits, hit))
        if (rank < inputRank && value >= 0) {
          input = value
          inputRank = rank
        }
      } else if (role === factRole.outputTokens) {
        const value = this.#number(countOf(source, hits, hit))
        if (rank < outputRank && value >= 0) {
          output = value
          outputRank = rank
        }
      } else if (role === factRole.cost || role === factRole.costDetails) {
        const isPlain = role === factRole.cost
        const value = this.#number(
          isPlain ? numberOf(source, hits, hit) : costOfDetails(source, hits, hit),
        )
        if (rank < costRank && value >= 0) {
          cost = value
          costRank = rank
        }
      } else if (role <= factRole.flagVariant) {
        this.#variants.take(source, hits, hit, role)
      } else if (role === factRole.annotation && table.linkCount[row] === 1) {
        // It judges the span that it links, maybe of another trace: the receiver has sent it there.
        // An event is about its own span, whatever that links.
      } else {
        if (spanId === '') spanId = spanIdOf(table, row, from)
        this.#outcomes.take(source, hits, hit, role, spanId)
      }
    }
    if (spanId !== '') this.#outcomes.endSpan(spanId)
    const parent0 = table.parent0[row] as number
    const parent1 = table.parent1[row] as number
    // As fnv1a over the parent's bytes; the table has them as words.
    const parent =
      parent0 === 0 && parent1 === 0 ? fnvStart : hashWord(hashWord(fnvStart, parent0), parent1)
    const nameStart = table.nameStart[row] as number
    const afterNs =
      ((table.startHi[row] as number) - this.#firstHi) * 2 ** 32 +
      ((table.startLo[row] as number) - this.#firstLo)
    this.#packer.addSpan(
      flags,
      table.span0[row] as number,
      table.span1[row] as number,
      parent0,
      parent1,
      fnv1a(source, nameStart, table.nameEnd[row] as number, parent),
      saturated(Math.floor(afterNs / 1e6)),
      saturated(input),
      saturated(output),
      cost,
    )
  }

  #number(value: number): number {
    if (!(value >= 0)) this.#ignored++
    return value
  }

  #addError(table: SpanTable, source: Buffer, row: number, from: number): void {
    if (!this.#errors.hasRoom(false)) return
    const name = nameOf(table, source, row)
    this.#errors.add(
      `${factToken.openSpanId}${spanIdOf(table, row, from)}${factToken.name}${name}}`,
      false,
    )
  }

  #addRoot(
    table: SpanTable,
    source: Buffer,
    row: number,
    from: number,
    isRoot: boolean,
    isError: boolean,
  ): void {
    const service = this.#serviceOf[
      (table.resource[row] as number) - (table.resource[from] as number)
    ] as string
    if (this.#finder !== undefined) {
      const line = this.#finder.ofRoot(service, nameOf(table, source, row))
      this.closeTimes = firstLine(this.closeTimes, line)
    }
    if (!this.#roots.hasRoom(isRoot)) return
    const parent = isRoot
      ? ''
      : `${factToken.parentId}"${idText(table.parent0[row] as number, table.parent1[row] as number)}"`
    const name = nameOf(table, source, row)
    const hi = table.startHi[row] as number
    const lo = table.startLo[row] as number
    const isFirst = hi === this.#firstHi && lo === this.#firstLo
    const startNs = isFirst ? factToken.sliceStart : nanosText(hi, lo)
    const error = isError ? ',"error":true' : ''
    this.#roots.add(
      `${factToken.openSpanId}${spanIdOf(table, row, from)}${parent}${factToken.service}${service}` +
        `${factToken.name}${name}${factToken.startNs}${startNs}${factToken.durationMs}` +
        `${durationMs(table, row)}${error}}`,
      isRoot,
    )
  }

  /** What many slices have in common: the slices of a record are mostly of one service. */
  #findShared(): void {
    const { experiment, variant } = this.#variants
    const service = this.#services.count === 1 ? this.#services.first : ''
    const recent = this.#recent
    if (service !== '') {
      for (let at = 0; at < recent.length; at++) {
        const shared = recent[at] as SharedText
        if (
          shared.service === service &&
          shared.variant === variant &&
          shared.experiment === experiment
        ) {
          this.#shared = shared
          return
        }
      }
    }
    let text = this.#services.count > 0 ? `${factToken.services}${this.#services.joined()}]` : ''
    if (experiment !== '') text += factToken.experiment + experiment
    if (variant !== '') text += factToken.variant + variant
    if (this.#rows !== undefined) text += this.#rows.columnsText
    this.#shared = { service, experiment, variant, text, number: sharedTexts.numberOf(text) }
    if (service === '') return
    recent[this.#nextRecent] = this.#shared
    this.#nextRecent = (this.#nextRecent + 1) % recentMax
  }

  /** What is this slice's own, in tokens. */
  #ownText(): string {
    const outcomes = this.#outcomes
    let text = ''
    if (this.#roots.count > 0) text += `${factToken.roots}${this.#roots.joined()}]`
    if (this.#errors.count > 0) text += `${factToken.errors}${this.#errors.joined()}]`
    if (outcomes.list.count > 0) text += `${factToken.outcomes}${outcomes.list.joined()}]`
    if (this.#rows !== undefined) text += this.#rows.text
    if (this.#rv !== '') text += `,"rv":"${this.#rv}"`
    if (this.#th !== '') text += `,"th":"${this.#th}"`
    const isTruncated =
      this.#services.isTruncated ||
      this.#roots.isTruncated ||
      this.#errors.isTruncated ||
      outcomes.list.isTruncated ||
      this.#rows?.isTruncated === true
    if (isTruncated) text += ',"truncated":true'
    const ignored = this.#ignored + outcomes.ignored
    return ignored > 0 ? `${text},"ignored":${ignored}` : text
  }
}

/** With a parent, and SERVER, CONSUMER or known to have a remote one (flag bit 9, valid with bit 8). */
export function isEntrySpan(table: SpanTable, row: number): boolean {
  if (table.parent0[row] === 0 && table.parent1[row] === 0) return false
  const kind = table.kind[row]
  return kind === 2 || kind === 5 || ((table.flags[row] as number) & 0x300) === 0x300
}

/** Whether the span's parent lies in the slice too: then it is nobody's root. */
function hasParent(table: SpanTable, row: number, from: number, to: number): boolean {
  if (to - from > parentSearchSpansMax) return false
  const parent0 = table.parent0[row]
  const parent1 = table.parent1[row]
  for (let at = from; at < to; at++) {
    if (table.span1[at] === parent1 && table.span0[at] === parent0) return true
  }
  return false
}

function spanIdOf(table: SpanTable, row: number, from: number): string {
  return spanIdToken(row - from, table.span0[row] as number, table.span1[row] as number)
}

function nameOf(table: SpanTable, source: Buffer, row: number): string {
  const start = table.nameStart[row] as number
  return knownTexts.jsonName(source, start, table.nameEnd[row] as number)
}

const noRank = 255
const fnvStart = 0x811c9dc5
