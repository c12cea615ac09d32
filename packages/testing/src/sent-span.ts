import type { InstrumentationScope, Resource, Span, TracesData } from '@winnow/otlp'

/** A span with all that its request says of it: the unit in which sent and kept are compared. */
export interface SentSpan {
  readonly resource: Resource
  readonly resourceSchemaUrl: string
  readonly scope: InstrumentationScope
  readonly scopeSchemaUrl: string
  readonly span: Span
}

/** The spans of a request in their order. */
export function sentSpans(data: TracesData): SentSpan[] {
  return data.resourceSpans.flatMap(({ resource, scopeSpans, schemaUrl: resourceSchemaUrl }) =>
    scopeSpans.flatMap(({ scope, spans, schemaUrl: scopeSchemaUrl }) =>
      spans.map(span => ({ resource, resourceSchemaUrl, scope, scopeSchemaUrl, span })),
    ),
  )
}

/**
 * Whether a trace came out as it went in: every expected span exactly once and equal in every field,
 * resource and scope included; nothing else. Of spans expected twice under one id the first counts.
 * Returns the first difference as a sentence, null when there is none.
 */
export function sameSpans(expected: readonly SentSpan[], got: readonly SentSpan[]): string | null {
  const wanted = new Map<string, SentSpan>()
  for (const sent of expected) {
    if (!wanted.has(sent.span.spanId)) wanted.set(sent.span.spanId, sent)
  }
  const seen = new Set<string>()
  for (const received of got) {
    const { spanId } = received.span
    const sent = wanted.get(spanId)
    if (sent === undefined) return `span ${spanId} (${received.span.name}) was never sent`
    if (seen.has(spanId)) return `span ${spanId} (${received.span.name}) came twice`
    seen.add(spanId)
    const difference = firstDifference(sent, received, '')
    if (difference !== null) return `span ${spanId} (${sent.span.name}): ${difference}`
  }
  const missing = [...wanted.values()].filter(({ span }) => !seen.has(span.spanId))
  const [first] = missing
  if (first === undefined) return null
  return `${missing.length} of ${wanted.size} spans are missing, the first ${first.span.spanId} (${first.span.name})`
}

function firstDifference(expected: unknown, got: unknown, path: string): string | null {
  // Object.is: minus zero and not-a-number are values of their own on the wire.
  if (Object.is(expected, got)) return null
  if (expected instanceof Uint8Array || got instanceof Uint8Array) {
    const same =
      expected instanceof Uint8Array && got instanceof Uint8Array && !Buffer.compare(expected, got)
    return same ? null : differ(expected, got, path)
  }
  if (!isContainer(expected) || !isContainer(got)) return differ(expected, got, path)
  if (Array.isArray(expected) !== Array.isArray(got)) return differ(expected, got, path)
  for (const key of new Set([...Object.keys(expected), ...Object.keys(got)])) {
    const at = Array.isArray(expected) ? `${path}[${key}]` : `${path}${path && '.'}${key}`
    const difference = firstDifference(expected[key], got[key], at)
    if (difference !== null) return difference
  }
  return null
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function differ(expected: unknown, got: unknown, path: string): string {
  return `${path} was sent as ${shown(expected)} and came as ${shown(got)}`
}

function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value, (_, inner) =>
    typeof inner === 'bigint' ? `${inner}n` : inner,
  )
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
