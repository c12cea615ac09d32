import { createHash } from 'node:crypto'
import {
  type EvaluationLimits,
  evaluationsFrom,
  type OutcomeMap,
  type OutcomeRecord,
} from '@winnow/model'
import { type AnyValue, decodeSpan, type Span, type SpanTable, spanProblem } from '@winnow/otlp'
import { refusalsDescribedMax } from './span-report.ts'

/** Most outcomes of one carrier span that are taken. */
export const carrierOutcomesMax = 32

/**
 * Most of one request: what senders batch is far below it, because nobody sends again what an
 * acknowledged request left out. It bounds the memory that many small outcomes take.
 */
export const carriedOutcomesMax = 65_536

export interface Carried {
  readonly records: readonly OutcomeRecord[]
  readonly leftOut: LeftOut
}

/** What was not taken although its span was: outcomes, and parts of others. */
export interface LeftOut {
  readonly count: number
  readonly shortened: number
  /** Why, the first ones. */
  readonly reasons: readonly string[]
}

export const nothingCarried: Carried = {
  records: [],
  leftOut: { count: 0, shortened: 0, reasons: [] },
}

/**
 * The outcomes that spans with exactly one link carry for the span that they link, as OpenInference has it
 * for judgements that come after a span has ended: its annotations and evaluations. Its events are about
 * itself, as any event is, and the span goes its way all the same. Rows are those of `bytes`, from `from` on.
 */
export function carriedOutcomes(
  table: SpanTable,
  bytes: Buffer,
  from: number,
  tenant: string,
  reading: { readonly limits: EvaluationLimits; readonly outcomes: OutcomeMap },
): Carried {
  const records: OutcomeRecord[] = []
  const reasons: string[] = []
  let count = 0
  let shortened = 0
  const say = (why: string): void => {
    if (reasons.length < refusalsDescribedMax) reasons.push(why)
  }
  const leaveOut = (outcomes: number, why: string): void => {
    count += outcomes
    say(why)
  }
  const shorten = (why: string): void => {
    shortened++
    say(why)
  }
  for (let row = from; row < table.length; row++) {
    if (table.linkCount[row] !== 1 || table.problem[row] !== spanProblem.none) continue
    const start = table.start[row] as number
    const end = table.end[row] as number
    if (!mayCarry(bytes, start, end)) continue
    const span = decodeSpan(bytes, table.fieldStart[row] as number, end)
    const stated = statedBy(span)
    const which = `span ${span.spanId} of trace ${span.traceId}`
    const ofRequest = carriedOutcomesMax - records.length
    const taken = stated.slice(0, Math.min(carrierOutcomesMax, ofRequest))
    if (stated.length > taken.length) {
      const limit =
        taken.length < carrierOutcomesMax
          ? `the request carries more than ${carriedOutcomesMax} outcomes (carriedOutcomesMax); send fewer spans at once`
          : `it carries more than ${carrierOutcomesMax} outcomes (carrierOutcomesMax)`
      leaveOut(stated.length - taken.length, `${which}: ${limit}`)
    }
    for (const one of taken) {
      const { read, mistakes } = readStated(tenant, inputOf(span, one), reading)
      if (read === undefined) leaveOut(1, `${which}: ${mistakes}`)
      else {
        records.push(...read)
        if (mistakes !== '') shorten(`${which}: ${mistakes}`)
      }
    }
  }
  return records.length + count === 0
    ? nothingCarried
    : { records, leftOut: { count, shortened, reasons } }
}

/**
 * A judgement is not lost for a remark, nor for one of two words of it that says nothing here: what is
 * wrong is left out, as it is of a span's own annotations, and an explanation is cut. `read` is undefined
 * where nothing is left to say.
 */
function readStated(
  tenant: string,
  input: Readonly<Record<string, unknown>>,
  reading: { readonly limits: EvaluationLimits; readonly outcomes: OutcomeMap },
): { readonly read: readonly OutcomeRecord[] | undefined; readonly mistakes: string } {
  const whole = evaluationsFrom(tenant, input, reading)
  if (whole.kind === 'evaluations') return { read: whole.records, mistakes: '' }
  const mistakes = whole.mistakes.map(({ field, remedy }) => `${field}: ${remedy}`).join(', ')
  const rest: Record<string, unknown> = { ...input }
  for (const { field } of whole.mistakes) {
    if (field === 'comment') rest.comment = cut(input.comment, reading.limits.commentBytesMax)
    else if (field === 'label' || field === 'score') rest[field] = undefined
  }
  const less = evaluationsFrom(tenant, rest, reading)
  return { read: less.kind === 'evaluations' ? less.records : undefined, mistakes }
}

/** As many whole characters as fit; nothing where there is no text. */
function cut(text: unknown, bytesMax: number): string | undefined {
  if (typeof text !== 'string') return undefined
  const bytes = Buffer.from(text)
  let end = Math.min(bytesMax, bytes.length)
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  const kept = bytes.toString('utf8', 0, end)
  return kept.trim() === '' ? undefined : kept
}

const mayHold = ['.annotation.', '.evaluation.'].map(text => Buffer.from(text))

/** Linked spans are many where messages are traced, and hardly one of them is decoded. */
function mayCarry(bytes: Buffer, start: number, end: number): boolean {
  const span = bytes.subarray(start, end)
  return mayHold.some(text => span.includes(text))
}

/** One result, in whichever of the two words. */
interface Stated {
  /** `span`, or `trace`: of what of the linked span it speaks. */
  readonly scope: string
  name?: unknown
  score?: unknown
  label?: unknown
  explanation?: unknown
  identifier?: unknown
}

/** Results without a score and a label are remarks, and no outcomes. */
function statedBy({ attributes }: Span): readonly Stated[] {
  const byKey = new Map<string, Stated>()
  for (const { key, value } of attributes) {
    const [, of = '', scope, member] = memberKey.exec(key) ?? []
    if (member === undefined) continue
    const stated = byKey.get(of) ?? { scope: scope === undefined ? 'span' : 'trace' }
    byKey.set(of, stated)
    stated[member as Exclude<keyof Stated, 'scope'>] = plain(value)
  }
  return [...byKey.values()].filter(
    ({ score, label }) => score !== undefined || label !== undefined,
  )
}

const memberKey =
  /^((trace\.)?(?:annotations\.\d{1,9}\.annotation|evaluations\.\d{1,9}\.evaluation))\.(name|score|label|explanation|identifier)$/

function inputOf(span: Span, stated: Stated): Readonly<Record<string, unknown>> {
  const { name, score, label, explanation } = stated
  const link = span.links[0]
  return {
    id: idOf(span, stated),
    traceId: link?.traceId,
    ...(link !== undefined && /[^0]/.test(link.spanId) && { spanId: link.spanId }),
    name,
    score,
    label,
    comment: explanation,
    source: `span:${span.spanId}`,
  }
}

/**
 * What is said, under the sender's own identifier or of this carrier: what is said anew under an identifier
 * is a further outcome. Never the place in a list, so that what comes in both words of OpenInference, or
 * again, is one.
 */
function idOf(span: Span, { scope, name, score, label, identifier }: Stated): string {
  const target = span.links[0]?.spanId
  const said =
    identifier === undefined
      ? [span.traceId, span.spanId, scope, name, score, label]
      : [scope, scope === 'span' && target, name, identifier, score, label]
  const digest = createHash('sha256').update(JSON.stringify(said)).digest('hex')
  return `carried-${digest.slice(0, 32)}`
}

function plain(value: AnyValue): string | number | boolean | undefined {
  if ('stringValue' in value) return value.stringValue
  if ('doubleValue' in value) return value.doubleValue
  if ('intValue' in value) return Number(value.intValue)
  if ('boolValue' in value) return value.boolValue
  return undefined
}
