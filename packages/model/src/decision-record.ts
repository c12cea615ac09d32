// Hot: once a decision for each of its readers.
import type { Claim, Decision, DecisionHead, DecisionRecord } from './decision.ts'
import { acceptsVersion, formats, isNewerVersion } from './formats.ts'
import { type PackedSlice, packedSlices, packedSlicesOf } from './packed-slice.ts'

/** The newest format of `decisions` that this release reads. */
export const decisionFormat = formats.decision

/** `newer`: to skip such a record would part the readers, so nobody goes on. */
export type ParsedDecision<T> =
  | { readonly kind: 'record'; readonly record: T }
  | { readonly kind: 'none' }
  | { readonly kind: 'newer'; readonly v: number }

/**
 * Reads the text of a record of `decisions`. The one parser there is: sampler, writer, query and verify
 * have to agree on what is a record, or they would count differently behind it. Bytes that are none
 * count for no reader.
 */
export function parseDecision(text: string): ParsedDecision<DecisionRecord> {
  const between = slicesText(text)
  if (between !== undefined) {
    const head = parseHeadAlone(headOf(text))
    const slices = head.kind === 'record' ? packedSlices(between) : undefined
    if (head.kind === 'newer' || (head.kind === 'record' && head.record.kind === 'claim')) {
      return head as ParsedDecision<Claim>
    }
    if (head.kind === 'record' && slices !== undefined) {
      return { kind: 'record', record: withSlices(head.record as DecisionHead, slices) }
    }
  }
  return parseWhole(text)
}

/**
 * The same without the slices, which are most of a record and come last. The text of the slices is not
 * looked at: only there may a record be broken and have a head all the same.
 */
export function parseDecisionHead(text: string): ParsedDecision<Claim | DecisionHead> {
  // Within a JSON string the quotes would be escaped, so this is a key; no other value is an array of that name.
  if (text.endsWith(']}') && text.includes(slicesKey)) {
    const head = parseHeadAlone(headOf(text))
    if (head.kind !== 'none') return head
  }
  const whole = parseWhole(text)
  if (whole.kind !== 'record' || whole.record.kind === 'claim') return whole
  const { slices: _, ...record } = whole.record
  return { kind: 'record', record }
}

/**
 * The same of what stands before the slices, closed by a brace. None where another order of keys may have
 * put some of them behind: then the whole says what the record is.
 */
export function parseHeadAlone(head: string): ParsedDecision<Claim | DecisionHead> {
  return parsed(head, isWholeHead)
}

/** Whoever wrote this has another order of keys: it is a record exactly when the whole is one. */
function parseWhole(text: string): ParsedDecision<DecisionRecord> {
  const whole = parsed<DecisionRecord>(text, isWhole)
  if (whole.kind !== 'record' || whole.record.kind === 'claim') return whole
  const slices = packedSlicesOf(whole.record.slices)
  if (slices === undefined) return none
  return { kind: 'record', record: withSlices(whole.record, slices) }
}

/** The record itself: nobody else has it. */
function withSlices(head: DecisionHead, slices: readonly PackedSlice[]): Decision {
  return Object.assign(head, { slices })
}

function headOf(text: string): string {
  return `${text.slice(0, text.indexOf(slicesKey))}}`
}

/**
 * The text of the slices between their brackets; undefined where they are not the last key, as far as
 * the text's end shows it.
 */
export function slicesText(text: string): string | undefined {
  const at = text.indexOf(slicesKey)
  if (at < 0) return undefined
  const isLast = text.endsWith('"]}') || text.length === at + slicesKey.length + 2
  return isLast && text.endsWith(']}') ? text.slice(at + slicesKey.length, -2) : undefined
}

const slicesKey = ',"slices":['

type Loose = { readonly [K in keyof Decision]?: unknown } | null

function parsed<T>(
  text: string,
  isDecision: (value: NonNullable<Loose>) => boolean,
): ParsedDecision<T> {
  let value: Loose
  try {
    value = JSON.parse(text) as Loose
  } catch {
    return none
  }
  const v = value?.v
  if (isNewerVersion('decision', v)) return { kind: 'newer', v }
  if (value === null || !acceptsVersion('decision', v)) return none
  const isRecord =
    (value.kind as string) === 'claim' || (value.kind === 'decision' && isDecision(value))
  return isRecord ? { kind: 'record', record: value as T } : none
}

const none = { kind: 'none' } as const

function isHead(value: NonNullable<Loose>): boolean {
  return (
    typeof value.tenant === 'string' &&
    typeof value.traceId === 'string' &&
    Number.isSafeInteger(value.claim) &&
    Number.isSafeInteger(value.seq) &&
    Number.isSafeInteger(value.revision)
  )
}

/** Keys that an encoder might put behind the slices would be missing here. */
function isWholeHead(value: NonNullable<Loose>): boolean {
  return isHead(value) && Array.isArray(value.write) && value.prev !== undefined
}

function isWhole(value: NonNullable<Loose>): boolean {
  return isHead(value) && Array.isArray(value.slices)
}
