import type { CostLine, CostReport, CostShare, PolicyCost, SpanShares } from '@winnow/cost'

/** What is stored, and the bill of a month line by line. Pure. */
export function costText(report: CostReport): string {
  const { stored, lines, monthTotal, forecast, measuredDays } = report
  const foreign = stored.reduce((sum, folder) => sum + folder.foreign, 0)
  return [
    `  ${'stored now'.padEnd(12)} ${'GB'.padStart(12)} ${'objects'.padStart(10)}`,
    ...stored.map(({ where, bytes, objects }) =>
      `  ${where.padEnd(12)} ${gigabytes(bytes).padStart(12)} ${(where === 'hot' ? '' : String(objects)).padStart(10)}`.trimEnd(),
    ),
    ...(foreign > 0 ? [`  ${foreign} of these objects have names that no writer gives`] : []),
    '',
    measuredDays === 0
      ? 'No segment is there yet: what a month costs is not known.'
      : `A month, once every tier is full, at the rate of the last ${days(measuredDays)}:`,
    ...(measuredDays > 0 && measuredDays < 1 / 24
      ? ['  (so short a time says little: ask again after an hour, better after a week)']
      : []),
    ...(measuredDays > 0 && measuredDays < 7
      ? ['  (hot counts its text, which stays a day, as if it stayed as long as the rest)']
      : []),
    ...lines.map(lineText),
    `  ${'total'.padEnd(57)} ${dollars(monthTotal)}`,
    '',
    `From an empty store, the month that ends after ${forecast
      .map(({ day, dollars: amount }) => `${day} d: ${dollars(amount).trim()}`)
      .join(', ')}`,
    '',
    ...Object.entries(report.by ?? {}).flatMap(([dimension, shares]) =>
      sharesText(dimension, shares),
    ),
    ...(report.bySpan === undefined ? [] : spansText(report.bySpan)),
    ...(report.compared === undefined ? [] : comparedText(report.compared)),
  ].join('\n')
}

/** Widest bar, in characters: of the dearest. */
const barMax = 20
/** Rows of a table; JSON has all of them. */
const rowsShownMax = 40

function sharesText(dimension: string, shares: readonly CostShare[]): string[] {
  const width = Math.max(12, ...shares.slice(0, rowsShownMax).map(({ name }) => name.length))
  const most = Math.max(0, ...shares.map(share => share.dollars.total))
  const head = `  ${`by ${dimension}`.padEnd(width)} ${'traces'.padStart(9)} ${'kept'.padStart(9)} ${'matched'.padStart(9)} ${'GB written'.padStart(11)} ${'a month'.padStart(12)} ${'a kept trace'.padStart(13)}`
  const rows = shares.slice(0, rowsShownMax).map(share => {
    const { name, traces, kept, matched, bytes, dollars: of, dollarsPerKept } = share
    const bar = barOf(of.total, most)
    const each = dollarsPerKept === null ? '' : `$${number(dollarsPerKept)}`
    return `  ${name.padEnd(width)} ${String(traces).padStart(9)} ${String(kept).padStart(9)} ${String(matched).padStart(9)} ${gigabytes(bytes).padStart(11)} ${dollars(of.total)} ${each.padStart(13)}  ${bar}`.trimEnd()
  })
  const left = shares.length - rowsShownMax
  return [head, ...rows, ...(left > 0 ? [`  and ${left} more: --json has them`] : []), '']
}

function spansText({ segments, names }: SpanShares): string[] {
  const shown = names.slice(0, rowsShownMax)
  const width = Math.max(12, ...shown.map(({ name }) => name.length))
  const most = names[0]?.dollars.total ?? 0
  const head = `  ${'by span'.padEnd(width)} ${'rows'.padStart(9)} ${'GB of text'.padStart(11)} ${'warm, cold'.padStart(12)}`
  const rows = shown.map(({ name, rows: count, bytes, dollars: of }) =>
    `  ${name.padEnd(width)} ${String(count).padStart(9)} ${gigabytes(bytes).padStart(11)} ${dollars(of.total)}  ${barOf(of.total, most)}`.trimEnd(),
  )
  const left = names.length - rowsShownMax
  return [
    head,
    ...rows,
    ...(left > 0 ? [`  and ${left} more: --json has them`] : []),
    `  by the rows of ${segments.read} of ${segments.of} segments of warm; hot is not among it`,
    '',
  ]
}

function barOf(amount: number, most: number): string {
  return '█'.repeat(most === 0 ? 0 : Math.round((barMax * amount) / most))
}

function comparedText(compared: readonly PolicyCost[]): string[] {
  if (compared.length === 0) {
    return ['Nothing was kept in these days: there are no bytes to compare policies by.', '']
  }
  const tiers = ['hot', 'warm', 'cold', 'ledger', 'index'] as const
  const gb = tiers.map(tier => `${tier}, GB`.padStart(12)).join('')
  const head = `  ${'on this traffic'.padEnd(16)} ${'traces'.padStart(10)} ${gb} ${'a month'.padStart(13)} ${'an object each'.padStart(15)}`
  const rows = compared.map(({ policy, traces, tiers: of, dollars: amount, dollarsAsObjects }) => {
    const sizes = tiers.map(tier => number(of[tier].gb).padStart(12)).join('')
    return `  ${policy.padEnd(16)} ${String(traces).padStart(10)} ${sizes} ${dollars(amount).padStart(13)} ${dollars(dollarsAsObjects).padStart(15)}`
  })
  return [
    head,
    ...rows,
    '  GB of full tiers, of all traffic estimated from what was kept; an object each: for every trace, in every tier',
    '',
  ]
}

function lineText({ tier, what, quantity, unit, price, dollars: amount }: CostLine): string {
  const sum = `${number(quantity).padStart(12)} ${unit.padEnd(14)} × ${number(price)}`
  return `  ${tier.padEnd(7)} ${what.padEnd(13)} ${sum.padEnd(35)} ${dollars(amount)}`
}

function gigabytes(bytes: number): string {
  return number(bytes / 1e9)
}

function days(count: number): string {
  if (count >= 1) return `${number(count)} days`
  return count * 24 >= 1 ? `${number(count * 24)} hours` : `${number(count * 24 * 60)} minutes`
}

/** Four digits that count. */
function number(value: number): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(4)))
}

function dollars(amount: number): string {
  return `$${amount.toFixed(2)}`.padStart(12)
}
