// Hot: the writer goes through here for every kept span. Text is concatenated, not built and stringified.
import type { DecisionHead } from '@winnow/model'
import type { HotTrace } from '../hot-store.ts'
import type { SpanRow } from '../span-row.ts'

/**
 * Bytes of an attribute's key and value that are indexed together. An index takes 32,766 with the path
 * before them and refuses a whole document for one more; a larger one is only in the row's own bytes.
 */
export const attributeBytesMax = 32_000

/** Of a key that is itself too long, as `attributesLeftOut` names it. */
const shownKeyLengthMax = 200

/** Each is a document of its own within the index, which refuses a span of more than 10,000. */
export const nestedMax = 1_000

const kinds = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']

/** The spans of one put as documents in the fields of Data Prepper's trace analytics. */
export function spanDocuments(trace: HotTrace, rows: readonly SpanRow[]): string[] {
  const shared = sharedText(trace, rows)
  let lastResource: string | undefined
  let resource = ''
  return rows.map(row => {
    if (row.resource_attributes !== lastResource) {
      lastResource = row.resource_attributes
      resource = `"resource":{"attributes":${plainObject(lastResource).text}}`
    }
    return spanDocument(row, shared, resource)
  })
}

/** What all spans of a put have in common, with a comma behind. */
function sharedText({ decision, logId, partition, offset }: HotTrace, rows: readonly SpanRow[]) {
  const { tenant, traceId, primary, revision, probability, adjustedCount } = decision
  const sampling = { rule: primary, revision, probability, adjustedCount, logId, partition, offset }
  const head = { v: 1, tenant, traceId, sampling, ...traceGroup(decision, rows) }
  return `${JSON.stringify(head).slice(1, -1)},`
}

function traceGroup({ rootSpanId, operation }: DecisionHead, rows: readonly SpanRow[]): object {
  if (operation === null) return {}
  const root = rows.find(row => row.span_id === rootSpanId)
  if (root === undefined) return { traceGroup: operation }
  return {
    traceGroup: operation,
    traceGroupFields: {
      endTime: nanosText(root.end_time_unix_nano),
      durationInNanos: Number(root.end_time_unix_nano - root.start_time_unix_nano),
      statusCode: root.status_code,
    },
  }
}

function spanDocument(row: SpanRow, shared: string, resource: string): string {
  const attributes = plainObject(row.attributes)
  const start = nanosText(row.start_time_unix_nano)
  let text = `{${shared}"spanId":"${row.span_id}","parentSpanId":"${row.parent_span_id ?? ''}","name":${JSON.stringify(row.name)},"kind":"SPAN_KIND_${kinds[row.kind] ?? row.kind}","startTime":"${start}","@timestamp":"${start}","endTime":"${nanosText(row.end_time_unix_nano)}","durationInNanos":${row.end_time_unix_nano - row.start_time_unix_nano},"status":{"code":${row.status_code}},"attributes":${attributes.text},${resource}`
  if (row.service_name !== null) text += `,"serviceName":${JSON.stringify(row.service_name)}`
  if (row.trace_state !== null) text += `,"traceState":${JSON.stringify(row.trace_state)}`
  if (row.scope_name !== null) {
    const scope = { name: row.scope_name, version: row.scope_version ?? undefined }
    text += `,"instrumentationScope":${JSON.stringify(scope)}`
  }
  text += promoted(row)
  if (row.events !== '[]') text += `,"events":${JSON.stringify(plainEvents(row.events))}`
  if (row.links !== '[]') text += `,"links":${JSON.stringify(plainLinks(row.links))}`
  if (attributes.leftOut.length > 0) {
    text += `,"attributesLeftOut":${JSON.stringify(attributes.leftOut)}`
  }
  return `${text}}`
}

function promoted(row: SpanRow): string {
  let text = ''
  if (row.gen_ai_operation !== null || row.gen_ai_model !== null || row.gen_ai_tool !== null) {
    const genAi = {
      operation: row.gen_ai_operation ?? undefined,
      provider: row.gen_ai_provider ?? undefined,
      model: row.gen_ai_model ?? undefined,
      tool: row.gen_ai_tool ?? undefined,
      inputTokens: row.input_tokens ?? undefined,
      outputTokens: row.output_tokens ?? undefined,
      costUsd: row.cost_usd ?? undefined,
    }
    text += `,"genAi":${JSON.stringify(genAi)}`
  }
  if (row.experiment_id !== null || row.experiment_variant !== null) {
    const experiment = {
      id: row.experiment_id ?? undefined,
      variant: row.experiment_variant ?? undefined,
    }
    text += `,"experiment":${JSON.stringify(experiment)}`
  }
  return text
}

/** `2026-11-21T07:00:00.123456789Z`: as numbers, Dashboards would lose the last digits. */
function nanosText(nanos: bigint): string {
  // By its digits: dividing costs ten times as much, and most spans of a trace share their second.
  const digits = String(nanos).padStart(10, '0')
  const seconds = digits.slice(0, -9)
  if (seconds !== lastSeconds) {
    lastSeconds = seconds
    lastSecondsText = new Date(Number(seconds) * 1_000).toISOString().slice(0, -5)
  }
  return `${lastSecondsText}.${digits.slice(-9)}Z`
}

let lastSeconds = ''
let lastSecondsText = ''

interface PlainObject {
  readonly text: string
  readonly leftOut: readonly string[]
}

const none: PlainObject = { text: '{}', leftOut: [] }

/**
 * `{"k":{"stringValue":"v"}}` as `{"k":"v"}`, which is what people search for. Of the text that `attributesObject`
 * makes, by its pieces: parsed, it made the whole document cost twice as much.
 */
function plainObject(typed: string): PlainObject {
  if (typed === '{}') return none
  // An escape is seldom, and what may be too long for an index more so.
  if (typed.includes('\\') || 3 * typed.length > attributeBytesMax) return parsedObject(typed)
  let text = ''
  for (let at = 1; at < typed.length; ) {
    const value = typed.indexOf('"', at + 1) + 2
    const kind = typed.charCodeAt(value + 2)
    // A list.
    if (kind === letterA) return parsedObject(typed)
    if (typed.charCodeAt(value + 1) === closing) {
      // No value: its own bracket, and the comma or the bracket of all.
      at = value + 3
      continue
    }
    const from = typed.indexOf(':', value) + 1
    const isQuoted = typed.charCodeAt(from) === quote
    const end = isQuoted ? typed.indexOf('"', from + 1) + 1 : typed.indexOf('}', from)
    const plain = kind === letterI ? typed.slice(from + 1, end - 1) : typed.slice(from, end)
    text += (text === '' ? '{' : ',') + typed.slice(at, value) + plain
    at = end + 2
  }
  return { text: text === '' ? '{}' : `${text}}`, leftOut: [] }
}

const letterA = 0x61
const letterI = 0x69
const quote = 0x22
const closing = 0x7d

function parsedObject(typed: string): PlainObject {
  const values = JSON.parse(typed) as Readonly<Record<string, TypedValue>>
  const leftOut: string[] = []
  let text = '{'
  for (const key in values) {
    const value = plainText(values[key] as TypedValue)
    if (value === undefined) continue
    const isLong = 3 * (key.length + value.length) > attributeBytesMax
    if (isLong && Buffer.byteLength(key) + Buffer.byteLength(value) > attributeBytesMax) {
      leftOut.push(key.slice(0, shownKeyLengthMax))
      continue
    }
    text += `${text.length > 1 ? ',' : ''}${JSON.stringify(key)}:${value}`
  }
  return { text: `${text}}`, leftOut }
}

/** OTLP/JSON: a 64-bit integer is a string of digits there. */
interface TypedValue {
  readonly stringValue?: string
  readonly intValue?: string
  readonly doubleValue?: number | string
  readonly boolValue?: boolean
  readonly bytesValue?: string
  readonly arrayValue?: { readonly values: readonly TypedValue[] }
}

/** As JSON; undefined for no value. */
function plainText(value: TypedValue): string | undefined {
  if (value.stringValue !== undefined) return JSON.stringify(value.stringValue)
  if (value.intValue !== undefined) return value.intValue
  if (value.boolValue !== undefined) return value.boolValue ? 'true' : 'false'
  if (value.doubleValue !== undefined) return JSON.stringify(value.doubleValue)
  if (value.bytesValue !== undefined) return JSON.stringify(value.bytesValue)
  if (value.arrayValue === undefined) return undefined
  return `[${value.arrayValue.values.map(one => plainText(one) ?? 'null').join(',')}]`
}

interface TypedEvent {
  readonly timeUnixNano: string
  readonly name: string
  readonly attributes: readonly { readonly key: string; readonly value: TypedValue }[]
}

interface TypedLink {
  readonly traceId: string
  readonly spanId: string
  readonly traceState: string
  readonly attributes: TypedEvent['attributes']
}

const nanosMax = 2n ** 63n - 1n

function plainEvents(typed: string): object[] {
  const events = JSON.parse(typed) as readonly TypedEvent[]
  return events.slice(0, nestedMax).map(({ timeUnixNano, name, attributes }) => {
    const time = BigInt(timeUnixNano)
    const at = nanosText(time > nanosMax ? nanosMax : time)
    return { name, time: at, attributes: plainAttributes(attributes) }
  })
}

function plainLinks(typed: string): object[] {
  const links = JSON.parse(typed) as readonly TypedLink[]
  return links.slice(0, nestedMax).map(({ traceId, spanId, traceState, attributes }) => ({
    traceId,
    spanId,
    traceState,
    attributes: plainAttributes(attributes),
  }))
}

function plainAttributes(attributes: TypedEvent['attributes']): object {
  const plain = attributes.map(({ key, value }) => {
    const text = plainText(value)
    return [key, text === undefined ? null : (JSON.parse(text) as unknown)] as const
  })
  return Object.fromEntries(plain)
}
