import type { RuleAnswer } from '@winnow/model'
import type { Why } from '@winnow/query'
import { contentText } from './content-text.ts'
import { asked, percent, quantityText, rounded, ruleText } from './rule-text.ts'

/** `why` as sentences. Pure; `color` wraps marks in ANSI colours. */
export function whyText(why: Why, color: boolean): string {
  const lines = [headline(why, color), '', sentence(why)]
  if (why.rules.length > 0) {
    lines.push(
      '',
      `Every rule of policy ${why.policyVersion}:`,
      ...why.rules.map(rule => ruleLine(rule, color)),
    )
  }
  if (why.evaluations.length > 0) {
    lines.push('', 'Evaluations:', ...why.evaluations.map(evaluationLine))
  }
  for (const { id, source } of why.retractions) {
    if (why.evaluations.some(one => one.id === id)) continue
    lines.push(`Taken back before it came: ${id}${source === undefined ? '' : ` by ${source}`}`)
  }
  if (why.retractionsRefused === true) {
    lines.push('More was taken back than a trace has room for: some of it is not on record.')
  }
  for (const { reason: text } of why.requests) {
    lines.push(`Asked for: ${text ?? '(the reason is for keys with the scope content)'}`)
  }
  const facts = factLines(why)
  if (facts.length > 0) lines.push('', ...facts)
  return `${lines.join('\n')}\n`
}

const STATE_COLORS = { kept: 32, dropped: 33, expired: 31, pending: 36, awaiting: 36, unknown: 31 }

function headline(why: Why, color: boolean): string {
  const state = why.state.toUpperCase()
  const shown = color ? `\u001b[1;${STATE_COLORS[why.state]}m${state}\u001b[0m` : state
  const what = [why.service, why.operation].filter(Boolean).join(' · ')
  return `${shown}  ${why.traceId}${what === '' ? '' : `  ${what}`}`
}

function sentence(why: Why): string {
  const reasons = joined(decisive(why).map(reason))
  switch (why.state) {
    case 'kept':
      return `Kept because ${reasons}.`
    case 'dropped':
      return `Dropped: no rule asked for it, and it is not among the ${percent(why.probability)} of ordinary traces. Its bytes can be read until ${why.bytesReadableUntil}, so it can still be rescued.`
    case 'expired':
      return why.verdict === 'keep'
        ? `It should be kept because ${reasons}, but its bytes had left the bus by then.`
        : 'Dropped, and its bytes have left the bus since.'
    case 'pending':
      return `Still open: ${why.spanCount ?? 'some'} spans so far, not decided yet.`
    case 'awaiting':
      return 'Only evaluations came so far; it is decided again when its spans come.'
    case 'unknown':
      return why.searched.complete
        ? 'Nothing of it has been seen under this tenant: no span and no evaluation; check the id, and whose the key is.'
        : `Not found${why.searched.ledgerSince === null ? '' : ` back to ${why.searched.ledgerSince}`}; not everything could be searched.`
  }
}

/** The rules that kept it: one that takes a share of everything only where no other asked. */
function decisive(why: Why): readonly RuleAnswer[] {
  const rules = why.rules.filter(asked)
  const sure = rules.filter(rule => rule.probability >= 1)
  return sure.length > 0 ? sure : rules
}

/** A matched rule in words. Rules of a user's own policy are named with what they compared. */
function reason(rule: RuleAnswer): string {
  const detail = rule.detail ?? {}
  const span = rule.spanId === undefined ? '' : ` (span ${rule.spanId})`
  switch (rule.name) {
    case 'span-error':
      return `a span ended in an error${span}`
    case 'judge-failed':
      return `the judge failed it: ${rule.value}${span}`
    case 'citation-failed':
      return `the citation check failed${span}: ${detail.supported ?? '?'} of ${detail.extracted ?? '?'} claims supported, ${detail.unsupported ?? 0} unsupported`
    case 'low-csat':
      return `CSAT ${rule.value} ≤ ${rule.threshold}${span}`
    case 'outcome-failed':
      return `${detail.outcome ?? 'an outcome'} is false${span}`
    case 'slow':
      return `it took ${quantityText(rule.value, detail.quantity)}, above the p99 of ${quantityText(rule.threshold, detail.quantity)}${span}`
    case 'active-variant':
      return `variant ${rule.value} is under investigation`
    case 'requested':
      return 'somebody asked for it'
    case 'ordinary':
      return `it is among the ${percent(rule.probability)} of ordinary traces`
    default:
      return `${rule.name} matched${rule.value === undefined ? '' : ` at ${rule.value}`}${span}`
  }
}

function ruleLine(rule: RuleAnswer, color: boolean): string {
  const mark = asked(rule) ? '✓' : '·'
  const shown = asked(rule) && color ? `\u001b[32m${mark}\u001b[0m` : mark
  const span = rule.spanId === undefined ? '' : `  span ${rule.spanId}`
  return `  ${shown} ${rule.name.padEnd(16)} ${ruleText(rule)}${span}`.trimEnd()
}

function evaluationLine(one: Why['evaluations'][number]): string {
  const arm = one.variant === undefined ? undefined : `${one.experiment} ${one.variant}`
  const passed = one.passed === undefined ? undefined : `passed ${one.passed}`
  const said = [one.score, one.label, passed, arm]
  const text = said.filter(part => part !== undefined).join(', ')
  const source = one.source === undefined ? '' : ` by ${one.source}`
  const sent = one.sentAs === undefined ? '' : ` (sent as ${one.sentAs})`
  const taken = one.retracted === true ? ', taken back since' : ''
  return `  ${one.name}${sent} ${text}${source}: ${one.state}${taken}`
}

function factLines(why: Why): string[] {
  const lines: string[] = []
  if (why.decidedAt !== null) {
    lines.push(
      `Revision ${why.revision}, decided ${why.decidedAt} (${why.cause}); closed because ${why.closeReason ?? 'no span came yet'}.`,
    )
  }
  if (why.spanCount !== null && why.complete !== null) {
    const missing = why.missingParents ?? 0
    const lacking = missing > 0 ? `${missing} parents missing` : 'incomplete'
    lines.push(
      `${why.spanCount} spans, ${why.complete ? 'complete' : lacking}; ${why.durationMs === null ? 'no root' : `${rounded(why.durationMs)} ms`}.`,
    )
  }
  if (why.continuesSeries === true) {
    lines.push(
      'It goes on with a trace that is larger than one series takes: the verdict is that one’s, the facts are of the spans since.',
    )
  }
  if (why.verdict === 'keep') {
    lines.push(
      `Stands for ${rounded(why.adjustedCount ?? 1)} trace(s) of stratum ${why.stratum}, th ${why.th}.`,
    )
  }
  const content = why.content === null ? undefined : contentText(why.content)
  if (content !== undefined) lines.push(content)
  return lines
}

function joined(parts: readonly string[]): string {
  if (parts.length < 2) return parts[0] ?? 'somebody asked for it'
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}
