/** Settings of policies that are numbers. */
const numericKeys = [
  'threshold_ms',
  'upper_threshold_ms',
  'min_value',
  'max_value',
  'sampling_percentage',
  'min_spans',
  'max_spans',
]
const expansion = /\$\{/
const flagKeys = ['value', 'invert_match', 'enabled_regex_matching']

/** A setting whose value is not known here: what the environment says there, or of another type. */
export function unreadable(own: Readonly<Record<string, unknown>>): string | undefined {
  for (const [key, value] of Object.entries(own)) {
    const texts = [value].flat().filter(one => typeof one === 'string')
    const expanded = texts.find(one => expansion.test(one))
    if (expanded !== undefined) return `${key} ${expanded} is expanded there; write its value`
    if (value === undefined || value === null) continue
    if (numericKeys.includes(key) && !isNumber(value)) return `${key} ${value} is no number`
    if (flagKeys.includes(key) && typeof value !== 'boolean') return `${key} ${value} is no flag`
  }
  return undefined
}

const isNumber = (value: unknown): boolean =>
  typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')
    ? Number.isFinite(Number(value))
    : false
