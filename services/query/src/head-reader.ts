// Hot: once a record of `decisions`.
import { formats } from '@winnow/model'
import type { DecisionFacts } from './decision-facts.ts'
import { JsonReader, nothing } from './json-reader.ts'

/**
 * Reads what the fold and the ledger look at out of a decision that is laid out exactly as the sampler
 * writes it, without the objects that a parser makes. Undefined for anything else, which says nothing
 * of it: the one parser of decisions has to be asked. What is read here the parser reads alike.
 */
export function readFacts(bytes: Buffer): DecisionFacts | undefined {
  const { length } = bytes
  if (bytes[length - 2] !== 0x5d || bytes[length - 1] !== 0x7d) return undefined
  reader.begin(bytes)
  if (!reader.has(own)) reader.expect(before)
  const tenant = reader.name(key.tenant)
  const traceId = reader.string(key.traceId)
  const revision = reader.count(key.revision)
  reader.expect(key.verdict)
  const isKept = reader.has(key.keep)
  if (!isKept) reader.expect(key.drop)
  const primary = reader.name(key.primary)
  reader.expect(key.rules)
  const matched = readMatched()
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
    matched,
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

// The parser's head ends where `slices` stands first, be it within an evaluation.
const reader = new JsonReader(Buffer.from('slices'))

/** Where the slices of what was read last begin, behind their bracket. */
export function slicesFrom(): number {
  return reader.at
}

/** How a record begins that this release has written, or the one before: there is no version 0. */
const own = Buffer.from(`{"v":${formats.decision}`)
const before = Buffer.from(`{"v":${Math.max(1, formats.decision - 1)}`)

/** What stands before a value, as the sampler's encoder writes it. */
const key = {
  tenant: Buffer.from(',"kind":"decision","tenant":'),
  traceId: Buffer.from(',"traceId":'),
  revision: Buffer.from(',"revision":'),
  verdict: Buffer.from(',"verdict":'),
  keep: Buffer.from('"keep"'),
  drop: Buffer.from('"drop"'),
  primary: Buffer.from(',"primary":'),
  rules: Buffer.from(',"rules":['),
  firstSpanAtMs: Buffer.from(',"firstSpanAtMs":'),
  lastSpanAtMs: Buffer.from(',"lastSpanAtMs":'),
  decidedAtMs: Buffer.from(',"decidedAtMs":'),
  spanCount: Buffer.from(',"spanCount":'),
  duplicateSpans: Buffer.from(',"duplicateSpans":'),
  rootSpanId: Buffer.from(',"rootSpanId":'),
  service: Buffer.from(',"service":'),
  operation: Buffer.from(',"operation":'),
  experiment: Buffer.from(',"experiment":'),
  variant: Buffer.from(',"variant":'),
  durationMs: Buffer.from(',"durationMs":'),
  sliceCount: Buffer.from(',"sliceCount":'),
  fingerprint: Buffer.from(',"fingerprint":'),
  prev: Buffer.from(',"prev":'),
  claim: Buffer.from(',"claim":'),
  seq: Buffer.from(',"seq":'),
  slices: Buffer.from(',"slices":['),
  listEnd: Buffer.from(']'),
  ruleName: Buffer.from('{"name":'),
  matched: Buffer.from(',"matched":'),
  yes: Buffer.from('true'),
  no: Buffer.from('false'),
  probability: Buffer.from(',"probability":'),
  objectEnd: Buffer.from('}'),
  comma: Buffer.from(','),
  th: Buffer.from(',"th":'),
  adjustedCount: Buffer.from(',"adjustedCount":'),
  stratum: Buffer.from(',"stratum":'),
  inherited: Buffer.from(',"inherited":true'),
  gone: Buffer.from(',"gone":true'),
  policyVersion: Buffer.from(',"policyVersion":'),
  cause: Buffer.from(',"cause":'),
  weighedAtMs: Buffer.from(',"weighedAtMs":'),
  seriesAtMs: Buffer.from(',"seriesAtMs":'),
  series: Buffer.from(',"series":true'),
  closeReason: Buffer.from(',"closeReason":'),
  closedAtMs: Buffer.from(',"closedAtMs":'),
  missingParents: Buffer.from(',"missingParents":'),
  complete: Buffer.from(',"complete":'),
  inputTokens: Buffer.from(',"inputTokens":'),
  outputTokens: Buffer.from(',"outputTokens":'),
  costUsd: Buffer.from(',"costUsd":'),
  write: Buffer.from(',"write":['),
  writePrev: Buffer.from(',"writePrev":true'),
  evaluations: Buffer.from(',"evaluations":'),
  requests: Buffer.from(',"requests":'),
  retractions: Buffer.from(',"retractions":'),
  seriesFrom: Buffer.from(',"seriesFrom":{"offset":'),
  start: Buffer.from(',"start":'),
}

/** Of the rules' answers the names of those that matched, up to the list's end. */
function readMatched(): string {
  let matched = ''
  if (reader.has(key.listEnd)) return matched
  for (;;) {
    const name = reader.name(key.ruleName)
    reader.expect(key.matched)
    const isMatched = reader.has(key.yes)
    if (isMatched) matched += `${name}\n`
    else reader.expect(key.no)
    reader.skip(key.probability)
    for (const member of answerKeys) if (reader.has(member)) reader.skip(nothing)
    reader.expect(key.objectEnd)
    if (reader.failed || reader.has(key.listEnd)) return matched
    reader.expect(key.comma)
  }
}

const answerKeys = ['value', 'threshold', 'spanId', 'detail'].map(name =>
  Buffer.from(`,"${name}":`),
)

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
  if (reader.has(key.weighedAtMs)) reader.skip(nothing)
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
  if (!reader.has(key.listEnd)) {
    do reader.count(nothing)
    while (reader.has(key.comma))
    reader.expect(key.listEnd)
  }
  reader.has(key.writePrev)
  reader.skip(key.evaluations)
  reader.skip(key.requests)
  if (reader.has(key.retractions)) reader.skip(nothing)
}

function readSeriesFrom(): DecisionFacts['seriesFrom'] {
  if (!reader.has(key.seriesFrom)) return undefined
  const offset = reader.count(nothing)
  const start = reader.count(key.start)
  reader.expect(key.objectEnd)
  return { offset, start }
}
