import type { RuleAnswer } from '@winnow/model'

/** What a rule saw, in words. A rule of an unknown name says the values that it compared. */
export function ruleText(rule: RuleAnswer): string {
  const { value, threshold, detail = {} } = rule
  switch (rule.name) {
    case 'span-error':
      return value === 0
        ? 'no span ended in an error'
        : `${value} spans ended in an error: ${detail.fatal} fatal, ${detail.recovered} recovered`
    case 'judge-failed':
      if (value === undefined) return 'no judge spoke'
      return typeof value === 'number'
        ? `judged ${value}, fails below ${threshold}`
        : `judged ${value}`
    case 'citation-failed':
      if (detail.extracted === undefined) return saw(rule, 'no citation was checked')
      return `${detail.supported} of ${detail.extracted} claims supported, ${detail.unsupported ?? 0} unsupported`
    case 'low-csat':
      return csatText(rule)
    case 'outcome-failed':
      if (value === undefined) return 'no outcome was stated'
      return value === false ? `${detail.outcome} is false` : 'every outcome is true'
    case 'slow':
      return slowText(rule)
    case 'active-variant':
      return variantText(rule)
    case 'ordinary': {
      const chosen = String(value) >= String(threshold)
      return `${percent(rule.probability)} of all: its draw ${value} is ${chosen ? 'not ' : ''}below ${threshold}`
    }
    default:
      return detail.notRecorded === undefined
        ? saw(rule, '')
        : `${saw(rule, 'false')}; ${detail.notRecorded} was recorded of none of its spans`
  }
}

/** Whether the rule asked for this very trace: one with a probability matches all and takes some. */
export function asked(rule: RuleAnswer): boolean {
  if (!rule.matched) return false
  if (rule.probability >= 1) return true
  return rule.name !== 'ordinary' || String(rule.value) >= String(rule.threshold)
}

export function percent(probability: number | null): string {
  return `${rounded((probability ?? 0) * 100)} %`
}

export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

function slowText({ value, threshold, detail = {} }: RuleAnswer): string {
  if (value === undefined) return 'it has no root to measure'
  const took = quantityText(value, detail.quantity)
  if (threshold === undefined) {
    return `${took}; no p99 yet, ${detail.count} traces of ${detail.key} so far`
  }
  const bar = `the p99 of ${detail.key} is ${quantityText(threshold, detail.quantity)} over ${detail.count} traces`
  return detail.raised === true
    ? `${took}, ${bar}, raised while too many lie above`
    : `${took}, ${bar}`
}

/** A figure of `slow` with its unit. `quantity`: as the rule's answer has it, absent for durations. */
export function quantityText(value: unknown, quantity: unknown): string {
  if (quantity === 'cost') return `$${Number(Number(value).toPrecision(4))}`
  return `${rounded(Number(value))} ${quantity ?? 'ms'}`
}

function csatText({ value, threshold, detail = {} }: RuleAnswer): string {
  const said = value === undefined ? 'no CSAT came' : `CSAT ${value}, low is ${threshold} or less`
  if (detail.ignored === undefined) return said
  const more = value === undefined ? '' : ' more'
  return `${said}; ${detail.ignored}${more} left out, not a number from 1 to 5`
}

function variantText({ value, detail = {} }: RuleAnswer): string {
  if (value === undefined) return 'no experiment'
  return detail.until === undefined
    ? `variant ${value} is not registered`
    : `variant ${value} of ${detail.experiment} until ${detail.until}, ${detail.used} of ${detail.cap} taken today`
}

function saw({ value, threshold }: RuleAnswer, nothing: string): string {
  if (value === undefined) return nothing
  return threshold === undefined ? String(value) : `${value} against ${threshold}`
}
