// Hot: the writer goes through here for every kept span. Text is concatenated, not built and stringified.
import type { AnyValue, KeyValue, SpanEvent, SpanLink } from '@winnow/otlp'
import { isClearText, levelOf } from '@winnow/privacy'

/** A longer list under a clear key may be prose cut into words, so it is content. */
export const clearListMax = 256

/** Bytes have no words to count: more than these are content. */
export const clearBytesMax = 64

/** What W3C allows a trace state; a longer one is not kept. */
export const traceStateLengthMax = 512

/** Stands for a span's or event's name that reads like prose, see `isClearText`. */
export const hiddenName = '(content)'

/** What is known of an attribute key: the same few come on every span. */
interface KnownKey {
  readonly isContent: boolean
  /** `"key":` */
  readonly text: string
  /** The last list that it was met in. */
  list: number
}

/** Keys are a client's to choose: of one list there may be more, which the next one ends. */
const knownKeysMax = 4_096
const knownKeyLengthMax = 128
let knownKeys = new Map<string, KnownKey>()
let lists = 0

/**
 * The attributes at structured level as a JSON object of OTLP/JSON values by key. Content keys are
 * absent, as is a value under a clear key that may hold prose. Of a key that comes twice the last
 * one counts, as everywhere.
 */
export function attributesObject(attributes: readonly KeyValue[]): string {
  const list = ++lists
  // Not within a list: what it has met is written there.
  if (knownKeys.size >= knownKeysMax) knownKeys = new Map()
  let json = ''
  for (let at = 0; at < attributes.length; at++) {
    const { key, value } = attributes[at] as KeyValue
    const known = knownKey(key)
    if (known.isContent) continue
    if (known.list === list) return repeatedObject(attributes)
    known.list = list
    const text = clearValue(value)
    if (text !== undefined) json += (json === '' ? '{' : ',') + known.text + text
  }
  return json === '' ? '{}' : `${json}}`
}

/** The same where a key comes twice. */
function repeatedObject(attributes: readonly KeyValue[]): string {
  const members = Array.from(clearTexts(attributes), ([key, text]) => knownKey(key).text + text)
  return `{${members.join(',')}}`
}

/** Events in OTLP/JSON shape; attributes as a list of `{key, value}`, as there. */
export function eventsArray(events: readonly SpanEvent[]): string {
  if (events.length === 0) return '[]'
  const texts = events.map(
    event =>
      `{"timeUnixNano":"${event.timeUnixNano}","name":${JSON.stringify(clearName(event.name))},"attributes":${attributesList(event.attributes)}}`,
  )
  return `[${texts.join(',')}]`
}

export function linksArray(links: readonly SpanLink[]): string {
  if (links.length === 0) return '[]'
  const texts = links.map(
    link =>
      `{"traceId":"${link.traceId}","spanId":"${link.spanId}","traceState":${JSON.stringify(clearTraceState(link.traceState) ?? '')},"attributes":${attributesList(link.attributes)},"flags":${link.flags}}`,
  )
  return `[${texts.join(',')}]`
}

export function clearName(name: string): string {
  return isClearText(name) ? name : hiddenName
}

/** Null for none, and for one that no standard sender makes. */
export function clearTraceState(traceState: string): string | null {
  return traceState === '' || traceState.length > traceStateLengthMax ? null : traceState
}

function attributesList(attributes: readonly KeyValue[]): string {
  let json = '['
  for (const [key, text] of clearTexts(attributes)) {
    json += `${json.length > 1 ? ',' : ''}{"key":${JSON.stringify(key)},"value":${text}}`
  }
  return `${json}]`
}

function clearTexts(attributes: readonly KeyValue[]): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { key, value } of attributes) {
    if (levelOf(key) === 'content') continue
    const text = clearValue(value)
    // A later value that is content hides an earlier one: the last counts, and it may not be shown.
    if (text === undefined) texts.delete(key)
    else texts.set(key, text)
  }
  return texts
}

/** Whether a value may be shown under a key that is not content. */
export function isClearValue(value: AnyValue): boolean {
  return clearValue(value) !== undefined
}

/** Undefined for what may not be shown: prose, or a list of key-values, whose keys nobody vouches for. */
function clearValue(value: AnyValue): string | undefined {
  if ('stringValue' in value) {
    const text = value.stringValue
    return isClearText(text) ? `{"stringValue":${JSON.stringify(text)}}` : undefined
  }
  if ('intValue' in value) return `{"intValue":"${value.intValue}"}`
  if ('doubleValue' in value) return `{"doubleValue":${doubleText(value.doubleValue)}}`
  if ('boolValue' in value) return value.boolValue ? '{"boolValue":true}' : '{"boolValue":false}'
  if ('arrayValue' in value) return clearArray(value.arrayValue.values)
  if ('bytesValue' in value) {
    if (value.bytesValue.length > clearBytesMax) return undefined
    return `{"bytesValue":"${Buffer.from(value.bytesValue).toString('base64')}"}`
  }
  return 'kvlistValue' in value ? undefined : '{}'
}

function clearArray(values: readonly AnyValue[]): string | undefined {
  if (values.length > clearListMax) return undefined
  let json = '{"arrayValue":{"values":['
  for (let at = 0; at < values.length; at++) {
    const text = clearValue(values[at] as AnyValue)
    if (text === undefined) return undefined
    json += at === 0 ? text : `,${text}`
  }
  return `${json}]}}`
}

function doubleText(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '"-0"' : String(value)
  return `"${value}"`
}

function knownKey(key: string): KnownKey {
  const before = knownKeys.get(key)
  if (before !== undefined) return before
  const isContent = levelOf(key) === 'content'
  const known = { isContent, text: isContent ? '' : `${JSON.stringify(key)}:`, list: 0 }
  // Clear keys are those of the lists, which are short.
  if (!isContent || key.length <= knownKeyLengthMax) knownKeys.set(key, known)
  return known
}
