/** What people read: three digits that count. Exact values go along with it as data. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let at = 0
  while (Math.abs(value) >= 999.5 && at < units.length - 1) {
    value /= 1000
    at++
  }
  return `${digits(value)} ${units[at]}`
}

export function dollarsText(dollars: number): string {
  if (dollars !== 0 && Math.abs(dollars) < 0.01) return `$${digits(dollars)}`
  return dollars.toLocaleString('en-US', { style: 'currency', currency: 'USD' })
}

export function countText(count: number): string {
  return Number.isInteger(count) ? count.toLocaleString('en-US') : digits(count)
}

export function shareText(part: number, whole: number): string {
  return whole === 0 ? '–' : `${digits((100 * part) / whole)} %`
}

export function daysText(days: number): string {
  if (days >= 1) return `${digits(days)} ${digits(days) === '1' ? 'day' : 'days'}`
  if (days * 24 >= 1) return `${digits(days * 24)} hours`
  return days * 1440 >= 1 ? `${digits(days * 1440)} minutes` : `${digits(days * 86_400)} seconds`
}

function digits(value: number): string {
  const rounded = Number(value.toPrecision(3))
  return Math.abs(rounded) >= 1_000 ? rounded.toLocaleString('en-US') : String(rounded)
}
