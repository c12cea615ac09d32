// Hot: once a record of `decisions`.
import {
  headEnd,
  JsonReader,
  jsonText,
  decisionMember as key,
  nothing,
  readDecisionVersion,
  readMatched,
} from '@winnow/model'
import type { DecisionFacts } from './decision-facts.ts'

/**
 * Reads what the fold and the ledger look at out of a decision that is laid out exactly as the sampler
 * writes it, without the objects that a parser makes. Undefined for anything else, which says nothing
 * of it: the one parser of decisions has to be asked. What is read here the parser reads alike.
 */
export function readFacts(bytes: Buffer): DecisionFacts | undefined {
  const { length } = bytes
  if (bytes[length - 2] !== 0x5d || bytes[length - 1] !== 0x7d) return undefined
  reader.begin(bytes)
  readDecisionVersion(reader)
  const tenant = reader.name(key.tenant)
  const traceId = reader.string(key.traceId)
  const revision = reader.count(key.revision)
  reader.expect(key.verdict)
  const isKept = reader.has(keep)
  if (!isKept) reader.expect(drop)
  const primary = reader.name(key.primary)
  const matched = readMatched(reader)
  if (reader.failed) return undefined
  const gone = skipWeights()
  reader.countOrNull(key.firstSpanAtMs)
  const lastSpanAtMs = reader.countOrNull(key.lastSpanAtMs)
  const decidedAtMs = reader.count(key.decidedAtMs)
  skipClose()
  const spanCount = reader.count(key.spanCount)
  const duplicateSpans = reader.count(key.duplicateSpans)
  reader.skip(key.rootSpanId)
  const service = reader.nameOrNull(key.service)
  const operation = reader.nameOrNull(key.operation)
  reader.skip(key.experiment)
  const variant = reader.nameOrNull(key.variant)
  const durationMs = reader.numberOrNull(key.durationMs)
  skipLists()
  const seriesFrom = readSeriesFrom()
  const sliceCount = reader.count(key.sliceCount)
  reader.skip(key.fingerprint)
  const prev = reader.countOrNull(key.prev)
  const claim = reader.count(key.claim)
  const seq = reader.count(key.seq)
  reader.expect(key.slices)
  if (reader.failed) return undefined
  return {
    kind: 'decision',
    tenant,
    traceId,
    revision,
    claim,
    seq,
    verdict: isKept ? 'keep' : 'drop',
    primary,
    matched: matched.length === 0 ? '' : `${matched.join('\n')}\n`,
    gone,
    lastSpanAtMs,
    decidedAtMs,
    spanCount,
    duplicateSpans,
    service,
    operation,
    variant,
    durationMs,
    sliceCount,
    seriesFrom,
    prev,
  }
}

const reader = new JsonReader(headEnd)

/** Where the slices of what was read last begin, behind their bracket. */
export function slicesFrom(): number {
  return reader.at
}

const keep = Buffer.from('"keep"')
const drop = Buffer.from('"drop"')

/** From the probability to the cause; whether the keep is gone. */
function skipWeights(): boolean {
  reader.skip(key.probability)
  reader.skip(key.th)
  reader.skip(key.adjustedCount)
  reader.skip(key.stratum)
  reader.has(key.inherited)
  const isGone = reader.has(key.gone)
  reader.skip(key.policyVersion)
  reader.skip(key.cause)
  return isGone
}

function skipClose(): void {
  reader.skipOptional(key.weighedAtMs)
  reader.skip(key.seriesAtMs)
  reader.has(key.series)
  reader.skip(key.closeReason)
  reader.skip(key.closedAtMs)
  reader.skip(key.missingParents)
  reader.skip(key.complete)
}

/** From the tokens to the retractions. */
function skipLists(): void {
  reader.skip(key.inputTokens)
  reader.skip(key.outputTokens)
  reader.skip(key.costUsd)
  reader.expect(key.write)
  if (!reader.has(jsonText.listEnd)) {
    do reader.count(nothing)
    while (reader.has(jsonText.comma))
    reader.expect(jsonText.listEnd)
  }
  reader.has(key.writePrev)
  reader.skip(key.evaluations)
  reader.skip(key.requests)
  reader.skipOptional(key.retractions)
  reader.has(key.retractionsRefused)
}

function readSeriesFrom(): DecisionFacts['seriesFrom'] {
  if (!reader.has(key.seriesFrom)) return undefined
  const offset = reader.count(nothing)
  const start = reader.count(key.seriesStart)
  reader.expect(jsonText.objectEnd)
  return { offset, start }
}
