import { isTooLong, type Remarks, tooLong } from './imported.ts'

/** Settings of the processor that have another place here, or none. */
const settings: Readonly<Record<string, string>> = {
  decision_wait:
    'a trace closes by assembler.quiet and openMax, and is decided again when more comes',
  num_traces: 'open traces are bounded by assembler.maxOpen',
  expected_new_traces_per_sec: 'nothing has to be sized',
  expected_new_traces_per_second: 'nothing has to be sized',
  decision_cache: 'every decision is remembered for 72 h',
  drop_pending_traces_on_shutdown: 'open traces outlive a shutdown',
}

/** What of the processor's settings is elsewhere here; and those that would change what is kept, or may. */
export function saySettings(processor: Readonly<Record<string, unknown>>, remarks: Remarks): void {
  for (const [key, value] of Object.entries(processor)) {
    const instead = Object.hasOwn(settings, key) ? settings[key] : undefined
    if (key === 'policies' || value === undefined || value === null) continue
    if (instead !== undefined) remarks.note(key, instead)
    else if (key !== 'sample_on_first_match') remarks.lost(key, 'a setting that has no place here')
    else if (value !== false) {
      remarks.lost(key, 'every rule is asked, and a later one that vetoes counts')
    }
  }
}

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

/** Texts to be found that are longer than facts are. */
export function unmatchable(own: Readonly<Record<string, unknown>>): string | undefined {
  if (own.enabled_regex_matching === true || !Array.isArray(own.values)) return undefined
  return own.values.some(value => isTooLong(String(value))) ? tooLong : undefined
}
