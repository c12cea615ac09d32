import type { CostLine } from '@winnow/cost'
import type { CostReport } from './cost-command.ts'

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
  ].join('\n')
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
