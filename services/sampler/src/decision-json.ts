// Hot: once a decision.
import type { Decision, RuleAnswer } from '@winnow/model'

/**
 * A decision as the JSON of the `decisions` topic, `slices` being the text between their brackets. Small
 * fields first, so that whoever looks into a record sees the verdict first; the slices last. Concatenated,
 * which is half the price of JSON.stringify: a value that JSON cannot say becomes null, as there.
 */
export function decisionJson(decision: Decision, slices: string): string {
  const { evaluations, requests, seriesFrom } = decision
  return (
    `{"v":1,"kind":"decision","tenant":${quoted(decision.tenant)},"traceId":${quoted(decision.traceId)},` +
    `"revision":${decision.revision},"verdict":"${decision.verdict}","primary":${quoted(decision.primary)},` +
    `"rules":[${rulesJson(decision.rules)}],"probability":${decision.probability},"th":"${decision.th}",` +
    `"adjustedCount":${number(decision.adjustedCount)},"stratum":${quoted(decision.stratum)}` +
    `${decision.inherited === true ? ',"inherited":true' : ''}${decision.gone === true ? ',"gone":true' : ''},` +
    `"policyVersion":${quoted(decision.policyVersion)},"cause":"${decision.cause}",` +
    `"firstSpanAtMs":${decision.firstSpanAtMs},"lastSpanAtMs":${decision.lastSpanAtMs},` +
    `"decidedAtMs":${decision.decidedAtMs},"seriesAtMs":${decision.seriesAtMs}` +
    `${decision.series === true ? ',"series":true' : ''},` +
    `"closeReason":${orNull(decision.closeReason)},"closedAtMs":${decision.closedAtMs},` +
    `"missingParents":${decision.missingParents},"complete":${decision.complete},` +
    `"spanCount":${decision.spanCount},"duplicateSpans":${decision.duplicateSpans},` +
    `"rootSpanId":${orNull(decision.rootSpanId)},"service":${orNull(decision.service)},` +
    `"operation":${orNull(decision.operation)},"experiment":${orNull(decision.experiment)},` +
    `"variant":${orNull(decision.variant)},"durationMs":${number(decision.durationMs)},` +
    `"inputTokens":${number(decision.inputTokens)},"outputTokens":${number(decision.outputTokens)},` +
    `"costUsd":${number(decision.costUsd)},"write":[${decision.write.join()}]` +
    `${decision.writePrev === true ? ',"writePrev":true' : ''},` +
    `"evaluations":${evaluations.length === 0 ? '[]' : JSON.stringify(evaluations)},` +
    `"requests":${requests.length === 0 ? '[]' : JSON.stringify(requests)}` +
    `${seriesFrom === undefined ? '' : `,"seriesFrom":${JSON.stringify(seriesFrom)}`},` +
    `"sliceCount":${decision.sliceCount},"fingerprint":"${decision.fingerprint}","prev":${decision.prev},` +
    `"claim":${decision.claim},"seq":${decision.seq},"slices":[${slices}]}`
  )
}

function rulesJson(rules: readonly RuleAnswer[]): string {
  let json = ''
  for (let i = 0; i < rules.length; i++) {
    const { name, matched, probability, value, threshold, spanId, detail } = rules[i] as RuleAnswer
    json += `${i === 0 ? '' : ','}{"name":${quoted(name)},"matched":${matched},"probability":${number(probability)}`
    if (value !== undefined) json += `,"value":${scalar(value)}`
    if (threshold !== undefined) json += `,"threshold":${scalar(threshold)}`
    if (spanId !== undefined) json += `,"spanId":${quoted(spanId)}`
    if (detail !== undefined) json += `,"detail":${detailJson(detail)}`
    json += '}'
  }
  return json
}

function detailJson(detail: Readonly<Record<string, number | string | boolean>>): string {
  let json = ''
  for (const key in detail) {
    json += `${json === '' ? '' : ','}${quoted(key)}:${scalar(detail[key] as string)}`
  }
  return `{${json}}`
}

function scalar(value: number | string | boolean): string {
  if (typeof value === 'string') return quoted(value)
  return typeof value === 'number' ? number(value) : `${value}`
}

function number(value: number | null): string {
  return value === null || !Number.isFinite(value) ? 'null' : `${value}`
}

function orNull(text: string | null): string {
  return text === null ? 'null' : quoted(text)
}

/** Nearly every text here is short and has nothing to escape. */
function quoted(text: string): string {
  if (text.length > plainCharsMax) return JSON.stringify(text)
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return JSON.stringify(text)
  }
  return `"${text}"`
}

const plainCharsMax = 80
