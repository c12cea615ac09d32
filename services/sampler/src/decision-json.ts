// Hot: once a decision.
import type { Decision, PackedSlice, RuleAnswer } from '@winnow/model'
import type { JsonBytes } from './json-bytes.ts'
import { repeatedText } from './repeated-answers.ts'

/**
 * A decision as the JSON of the `decisions` topic. Small fields first, so that whoever looks into a
 * record sees the verdict first; the slices last, as they were read.
 */
export function writeDecision(out: JsonBytes, decision: Decision): void {
  out.raw('{"v":')
  out.number(decision.v)
  out.raw(',"kind":"decision","tenant":')
  out.text(decision.tenant)
  out.raw(',"traceId":')
  out.text(decision.traceId)
  out.raw(',"revision":')
  out.number(decision.revision)
  writeVerdict(out, decision)
  writeTimes(out, decision)
  writeFacts(out, decision)
  writeSeries(out, decision)
  out.raw(',"claim":')
  out.number(decision.claim)
  out.raw(',"seq":')
  out.number(decision.seq)
  out.raw(',"slices":[')
  for (let i = 0; i < decision.slices.length; i++) {
    out.raw(i === 0 ? '"' : '","')
    out.ascii((decision.slices[i] as PackedSlice).text)
  }
  out.raw(decision.slices.length === 0 ? ']}' : '"]}')
}

function writeVerdict(out: JsonBytes, decision: Decision): void {
  out.raw(
    decision.verdict === 'keep' ? ',"verdict":"keep","primary":' : ',"verdict":"drop","primary":',
  )
  out.text(decision.primary)
  out.raw(',"rules":[')
  for (let i = 0; i < decision.rules.length; i++) {
    if (i > 0) out.raw(',')
    writeAnswer(out, decision.rules[i] as RuleAnswer)
  }
  out.raw('],"probability":')
  out.number(decision.probability)
  out.raw(',"th":')
  out.text(decision.th)
  out.raw(',"adjustedCount":')
  out.number(decision.adjustedCount)
  out.raw(',"stratum":')
  out.text(decision.stratum)
  if (decision.inherited === true) out.raw(',"inherited":true')
  if (decision.gone === true) out.raw(',"gone":true')
  out.raw(',"policyVersion":')
  out.text(decision.policyVersion)
  if (decision.shadow !== undefined) {
    out.raw(',"shadow":')
    out.json(JSON.stringify(decision.shadow))
  }
  out.raw(',"cause":')
  out.text(decision.cause)
}

function writeAnswer(out: JsonBytes, answer: RuleAnswer): void {
  const known = repeatedText(answer)
  if (known !== undefined) {
    out.raw(known)
    return
  }
  const { name, matched, probability, value, threshold, spanId, detail } = answer
  out.raw('{"name":')
  out.text(name)
  out.raw(matched ? ',"matched":true,"probability":' : ',"matched":false,"probability":')
  out.number(probability)
  if (value !== undefined) {
    out.raw(',"value":')
    out.scalar(value)
  }
  if (threshold !== undefined) {
    out.raw(',"threshold":')
    out.scalar(threshold)
  }
  if (spanId !== undefined) {
    out.raw(',"spanId":')
    out.text(spanId)
  }
  if (detail !== undefined) {
    out.raw(',"detail":{')
    let isFirst = true
    for (const key in detail) {
      if (!isFirst) out.raw(',')
      isFirst = false
      out.text(key)
      out.raw(':')
      out.scalar(detail[key] as string)
    }
    out.raw('}')
  }
  out.raw('}')
}

function writeTimes(out: JsonBytes, decision: Decision): void {
  out.raw(',"firstSpanAtMs":')
  out.number(decision.firstSpanAtMs)
  out.raw(',"lastSpanAtMs":')
  out.number(decision.lastSpanAtMs)
  out.raw(',"decidedAtMs":')
  out.number(decision.decidedAtMs)
  if (decision.weighedAtMs !== undefined) {
    out.raw(',"weighedAtMs":')
    out.number(decision.weighedAtMs)
  }
  out.raw(',"seriesAtMs":')
  out.number(decision.seriesAtMs)
  if (decision.series === true) out.raw(',"series":true')
  out.raw(',"closeReason":')
  out.textOrNull(decision.closeReason)
  out.raw(',"closedAtMs":')
  out.number(decision.closedAtMs)
  out.raw(',"missingParents":')
  out.number(decision.missingParents)
  out.raw(',"complete":')
  out.raw(`${decision.complete}`)
}

function writeFacts(out: JsonBytes, decision: Decision): void {
  out.raw(',"spanCount":')
  out.number(decision.spanCount)
  out.raw(',"duplicateSpans":')
  out.number(decision.duplicateSpans)
  out.raw(',"rootSpanId":')
  out.textOrNull(decision.rootSpanId)
  out.raw(',"service":')
  out.textOrNull(decision.service)
  out.raw(',"operation":')
  out.textOrNull(decision.operation)
  out.raw(',"experiment":')
  out.textOrNull(decision.experiment)
  out.raw(',"variant":')
  out.textOrNull(decision.variant)
  out.raw(',"durationMs":')
  out.number(decision.durationMs)
  out.raw(',"inputTokens":')
  out.number(decision.inputTokens)
  out.raw(',"outputTokens":')
  out.number(decision.outputTokens)
  out.raw(',"costUsd":')
  out.number(decision.costUsd)
}

function writeSeries(out: JsonBytes, decision: Decision): void {
  const { write, evaluations, requests, retractions, seriesFrom } = decision
  out.raw(',"write":[')
  for (let i = 0; i < write.length; i++) {
    if (i > 0) out.raw(',')
    out.number(write[i] as number)
  }
  out.raw(decision.writePrev === true ? '],"writePrev":true,"evaluations":' : '],"evaluations":')
  out.json(evaluations.length === 0 ? '[]' : JSON.stringify(evaluations))
  out.raw(',"requests":')
  out.json(requests.length === 0 ? '[]' : JSON.stringify(requests))
  if (retractions !== undefined) {
    out.raw(',"retractions":')
    out.json(JSON.stringify(retractions))
  }
  if (decision.retractionsRefused === true) out.raw(',"retractionsRefused":true')
  if (seriesFrom !== undefined) {
    out.raw(',"seriesFrom":')
    out.json(JSON.stringify(seriesFrom))
  }
  out.raw(',"sliceCount":')
  out.number(decision.sliceCount)
  out.raw(',"fingerprint":')
  out.text(decision.fingerprint)
  out.raw(',"prev":')
  out.number(decision.prev)
}
