// Hot: the writer goes through here for every kept span.
import { type ColdHasher, levelOf } from '@winnow/privacy'
import type { SpanRow } from './span-row.ts'

/** OTLP/JSON as `level-json.ts` writes it; nothing but clear values gets this far. */
type ClearValue =
  | { readonly stringValue: string }
  | { readonly intValue: string }
  | { readonly bytesValue: string }
  | { readonly arrayValue: { readonly values: readonly ClearValue[] } }
  | { readonly doubleValue: number | string }
  | { readonly boolValue: boolean }
  | Readonly<Record<string, never>>

interface ClearPair {
  readonly key: string
  readonly value: ClearValue
}

interface ClearEvent {
  readonly attributes: readonly ClearPair[]
}

interface ClearLink extends ClearEvent {
  readonly traceState: string
}

/**
 * A row of warm at hashed level: what stands under structural keys, ids, names and numbers that
 * measure stay clear, every other string is its token. Integers and bytes under a structured key are
 * hashed too, because a user id is no less an identifier for being a number; an integer has the
 * token of its decimal digits.
 */
export function coldRow(row: SpanRow, hasher: ColdHasher): SpanRow {
  return coldRowWith(row, hasher, coldAttributes(row.resource_attributes, hasher))
}

/** Many at once: spans that follow one another share their resource, which is hashed once for all. */
export function coldRows(rows: readonly SpanRow[], hasher: ColdHasher): SpanRow[] {
  let clear = ''
  let cold = ''
  return rows.map(row => {
    if (row.resource_attributes !== clear) {
      clear = row.resource_attributes
      cold = coldAttributes(clear, hasher)
    }
    return coldRowWith(row, hasher, cold)
  })
}

function coldRowWith(row: SpanRow, hasher: ColdHasher, resourceAttributes: string): SpanRow {
  return {
    ...row,
    trace_state: row.trace_state === null ? null : hasher.token(row.trace_state),
    attributes: coldAttributes(row.attributes, hasher),
    resource_attributes: resourceAttributes,
    events: coldEvents(row.events, hasher),
    links: coldLinks(row.links, hasher),
  }
}

/** Of the text that `attributesObject` makes; by its pieces, since to parse it costs five times that. */
export function coldAttributes(json: string, hasher: ColdHasher): string {
  if (json === '{}') return json
  // A quote that is escaped: seldom, and not worth a parser of our own.
  if (json.includes('\\')) return parsedAttributes(json, hasher)
  let cold = ''
  let from = 0
  for (let at = 1; at < json.length; ) {
    const keyEnd = json.indexOf('"', at + 1)
    const value = keyEnd + 2
    const kind = json.charCodeAt(value + 2)
    // Nor is a list.
    if (kind === letterA) return parsedAttributes(json, hasher)
    const isHashed = kind === letterS || kind === letterI || json.startsWith('{"bytesValue"', value)
    // Behind `{"stringValue":"`, `{"intValue":"` or `{"bytesValue":"`.
    const text = json.indexOf(':', value) + 2
    const end = isHashed ? json.indexOf('"', text) : json.indexOf('}', value)
    if (isHashed && levelOf(json.slice(at + 1, keyEnd)) !== 'structural') {
      cold += `${json.slice(from, value)}{"stringValue":"${hasher.token(json.slice(text, end))}"`
      from = end + 1
    }
    // The value's own bracket, and the comma or the bracket of all.
    at = (isHashed ? end + 1 : end) + 2
  }
  return cold + json.slice(from)
}

const letterA = 0x61
const letterI = 0x69
const letterS = 0x73

function parsedAttributes(json: string, hasher: ColdHasher): string {
  const attributes = JSON.parse(json) as Record<string, ClearValue>
  for (const key of Object.keys(attributes)) {
    if (levelOf(key) === 'structural') continue
    attributes[key] = hashed(attributes[key] as ClearValue, hasher)
  }
  return JSON.stringify(attributes)
}

export function coldEvents(json: string, hasher: ColdHasher): string {
  if (json === '[]') return json
  const events = JSON.parse(json) as readonly ClearEvent[]
  return JSON.stringify(
    events.map(event => ({ ...event, attributes: coldPairs(event.attributes, hasher) })),
  )
}

export function coldLinks(json: string, hasher: ColdHasher): string {
  if (json === '[]') return json
  const links = JSON.parse(json) as readonly ClearLink[]
  return JSON.stringify(
    links.map(link => ({
      ...link,
      traceState: link.traceState === '' ? '' : hasher.token(link.traceState),
      attributes: coldPairs(link.attributes, hasher),
    })),
  )
}

function coldPairs(pairs: readonly ClearPair[], hasher: ColdHasher): ClearPair[] {
  return pairs.map(({ key, value }) => ({
    key,
    value: levelOf(key) === 'structural' ? value : hashed(value, hasher),
  }))
}

function hashed(value: ClearValue, hasher: ColdHasher): ClearValue {
  if ('stringValue' in value) return { stringValue: hasher.token(value.stringValue) }
  if ('intValue' in value) return { stringValue: hasher.token(value.intValue) }
  if ('bytesValue' in value) return { stringValue: hasher.token(value.bytesValue) }
  if ('arrayValue' in value) {
    return { arrayValue: { values: value.arrayValue.values.map(item => hashed(item, hasher)) } }
  }
  return value
}
