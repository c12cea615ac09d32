import type { AnyValue } from '../otlp.ts'
import { knownProviders, providerRenames } from './names.ts'

/**
 * Values as the view has them, whatever type an SDK chose: token counts arrive as int, double and
 * string alike. Undefined: of no use here, so that the next name of the same meaning is tried.
 */
export function textOf(value: AnyValue): string | undefined {
  if ('stringValue' in value) return value.stringValue === '' ? undefined : value.stringValue
  if ('intValue' in value) return value.intValue.toString()
  if ('boolValue' in value) return String(value.boolValue)
  if ('doubleValue' in value) return String(value.doubleValue)
  return undefined
}

/** A whole number from 0 up that a double holds. */
export function countOf(value: AnyValue): number | undefined {
  const number = numberOf(value)
  return number !== undefined && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

/** US dollars, from 0 up. */
export function costOf(value: AnyValue): number | undefined {
  const number = numberOf(value)
  return number !== undefined && number >= 0 ? number : undefined
}

export function flagOf(value: AnyValue): boolean | undefined {
  if ('boolValue' in value) return value.boolValue
  if (!('stringValue' in value)) return undefined
  const text = value.stringValue.toLowerCase()
  return text === 'true' ? true : text === 'false' ? false : undefined
}

/** One string is a list of one. Undefined when there is none in it. */
export function textsOf(value: AnyValue): readonly string[] | undefined {
  if (!('arrayValue' in value)) {
    const text = textOf(value)
    return text === undefined ? undefined : [text]
  }
  const texts = value.arrayValue.values.map(textOf).filter(text => text !== undefined)
  return texts.length === 0 ? undefined : texts
}

const decimalText = /^[+-]?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/

function numberOf(value: AnyValue): number | undefined {
  if ('intValue' in value) return Number(value.intValue)
  if ('doubleValue' in value)
    return Number.isFinite(value.doubleValue) ? value.doubleValue : undefined
  if (!('stringValue' in value)) return undefined
  const text = value.stringValue.trim()
  return decimalText.test(text) ? Number(text) : undefined
}

/** Longest JSON text that is parsed for numbers; Langfuse's details have some 200 characters. */
export const detailsCharsMax = 8192

/** The numbers of a JSON object given as text, by key. Empty for anything else. */
export function detailsOf(value: AnyValue): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  if (!('stringValue' in value) || value.stringValue.length > detailsCharsMax) return numbers
  let parsed: unknown
  try {
    parsed = JSON.parse(value.stringValue)
  } catch {
    return numbers
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return numbers
  for (const [key, number] of Object.entries(parsed)) {
    if (typeof number === 'number' && Number.isFinite(number) && number >= 0)
      numbers.set(key, number)
  }
  return numbers
}

/** `total`, else the sum of what is there: Langfuse's own rule. */
export function costOfDetails(value: AnyValue): number | undefined {
  const details = detailsOf(value)
  if (details.size === 0) return undefined
  const total = details.get('total')
  if (total !== undefined) return total
  let sum = 0
  for (const cost of details.values()) sum += cost
  return sum
}

const known: ReadonlySet<string> = new Set(knownProviders)

/** Old values by their new name; a known one in whatever case; Vercel's `openai.chat` is `openai`. */
export function providerOf(text: string): string {
  const lower = text.toLowerCase()
  if (known.has(lower)) return lower
  if (Object.hasOwn(providerRenames, lower)) return providerRenames[lower] ?? text
  if (lower.startsWith('az.ai.')) return `azure.${lower.slice(3)}`
  const vendor = lower.split('.', 1)[0] ?? ''
  return known.has(vendor) ? vendor : text
}
