// Hot: the head of every decision is read along these.
import { formats } from './formats.ts'
import type { JsonReader } from './json-reader.ts'

const member = (name: string): Buffer => Buffer.from(`,"${name}":`)

/** What stands before each value of a decision, in the order in which the sampler's encoder writes them. */
export const decisionMember = {
  tenant: Buffer.from(',"kind":"decision","tenant":'),
  traceId: member('traceId'),
  revision: member('revision'),
  verdict: member('verdict'),
  primary: member('primary'),
  rules: Buffer.from(',"rules":['),
  probability: member('probability'),
  th: member('th'),
  adjustedCount: member('adjustedCount'),
  stratum: member('stratum'),
  inherited: Buffer.from(',"inherited":true'),
  gone: Buffer.from(',"gone":true'),
  policyVersion: member('policyVersion'),
  cause: member('cause'),
  firstSpanAtMs: member('firstSpanAtMs'),
  lastSpanAtMs: member('lastSpanAtMs'),
  decidedAtMs: member('decidedAtMs'),
  weighedAtMs: member('weighedAtMs'),
  seriesAtMs: member('seriesAtMs'),
  series: Buffer.from(',"series":true'),
  closeReason: member('closeReason'),
  closedAtMs: member('closedAtMs'),
  missingParents: member('missingParents'),
  complete: member('complete'),
  spanCount: member('spanCount'),
  duplicateSpans: member('duplicateSpans'),
  rootSpanId: member('rootSpanId'),
  service: member('service'),
  operation: member('operation'),
  experiment: member('experiment'),
  variant: member('variant'),
  durationMs: member('durationMs'),
  inputTokens: member('inputTokens'),
  outputTokens: member('outputTokens'),
  costUsd: member('costUsd'),
  write: Buffer.from(',"write":['),
  writePrev: Buffer.from(',"writePrev":true'),
  evaluations: member('evaluations'),
  requests: member('requests'),
  retractions: member('retractions'),
  retractionsRefused: Buffer.from(',"retractionsRefused":true'),
  seriesFrom: Buffer.from(',"seriesFrom":{"offset":'),
  seriesStart: member('start'),
  sliceCount: member('sliceCount'),
  fingerprint: member('fingerprint'),
  prev: member('prev'),
  claim: member('claim'),
  seq: member('seq'),
  slices: Buffer.from(',"slices":['),
} as const

export const jsonText = {
  comma: Buffer.from(','),
  listEnd: Buffer.from(']'),
  objectEnd: Buffer.from('}'),
} as const

/** The parser's head of a decision ends where this key stands first, be it within a value. */
export const headEnd: Buffer = Buffer.from('slices')

/** How a record begins that this release has written, or the one before: there is no version 0. */
const own = Buffer.from(`{"v":${formats.decision}`)
const before = Buffer.from(`{"v":${Math.max(1, formats.decision - 1)}`)

export function readDecisionVersion(reader: JsonReader): number {
  if (reader.has(own)) return formats.decision
  reader.expect(before)
  return formats.decision - 1
}

const answer = {
  name: Buffer.from('{"name":'),
  matched: Buffer.from(',"matched":true'),
  unmatched: Buffer.from(',"matched":false'),
} as const
const answerMembers = ['value', 'threshold', 'spanId', 'detail'].map(member)

/** From `rules` on: of the rules' answers the names of those that matched. */
export function readMatched(reader: JsonReader): readonly string[] {
  reader.expect(decisionMember.rules)
  if (reader.has(jsonText.listEnd)) return nobody
  let matched: string[] | undefined
  while (!reader.failed) {
    const name = reader.name(answer.name)
    if (reader.has(answer.matched)) {
      if (matched === undefined) matched = [name]
      else matched.push(name)
    } else reader.expect(answer.unmatched)
    reader.skip(decisionMember.probability)
    for (const one of answerMembers) reader.skipOptional(one)
    reader.expect(jsonText.objectEnd)
    if (reader.has(jsonText.listEnd)) break
    reader.expect(jsonText.comma)
  }
  return matched ?? nobody
}

const nobody: readonly string[] = []
