import type { DecisionHead } from '@winnow/model'
import {
  decodeTraces,
  type GenAiView,
  genAiView,
  type ResourceJson,
  type ResourceSpans,
  resourceToJson,
  type ScopeJson,
  type ScopeSpans,
  type Span,
  type SpanJson,
  scopeToJson,
  spanToJson,
  type TracesData,
  tracesToJson,
} from '@winnow/otlp'
import type { HotTraceRead, SpanRow } from '@winnow/storage'
import type { ContentLevel } from './content.ts'

/** A span in OTLP/JSON's names and value shapes, with where it came from and the one view of GenAI. */
export interface TraceSpan extends SpanJson {
  readonly resource: ResourceJson
  readonly resourceSchemaUrl: string
  readonly scope: ScopeJson
  readonly scopeSchemaUrl: string
  /** Null for a span that says nothing of GenAI. */
  readonly genAi: GenAiView | null
}

/** A span whose text has expired: what the structured level, or the hashed one, still holds of it. */
export interface StructuredSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code: number }
  readonly attributes: readonly { readonly key: string; readonly value: unknown }[]
  readonly resource: { readonly attributes: readonly { key: string; value: unknown }[] }
  readonly scope: { readonly name: string | null; readonly version: string | null }
  readonly events: unknown
  readonly links: unknown
  readonly genAi: null | Readonly<Record<string, string | number | null>>
}

/** Rows of a trace, and the slices whose text is there. */
type HeldSpans = Pick<HotTraceRead, 'spans' | 'bodies'>

/** The spans of a trace, and whether each has its text. */
export interface ReadTrace {
  readonly level: ContentLevel
  readonly spans: readonly (TraceSpan | StructuredSpan)[]
}

/**
 * In full where the text is still held, else at structured level: what an earlier decision wrote loses its
 * text before what a later one did. `rowLevel`: what rows hold. By start time.
 */
export function spansOf(
  read: HeldSpans,
  rowLevel: 'structured' | 'hashed' = 'structured',
): ReadTrace {
  const spans: (TraceSpan | StructuredSpan)[] = []
  const seen = new Set<string>()
  for (const { resource, scopeSpans, schemaUrl } of wholeTrace(read).resourceSpans) {
    const resourceJson = resourceToJson(resource)
    for (const group of scopeSpans) {
      const scope = scopeToJson(group.scope)
      for (const span of group.spans) {
        seen.add(span.spanId)
        spans.push({
          ...spanToJson(span),
          resource: resourceJson,
          resourceSchemaUrl: schemaUrl,
          scope,
          scopeSchemaUrl: group.schemaUrl,
          genAi: genAiView(span, resource.attributes) ?? null,
        })
      }
    }
  }
  const rest = read.spans.filter(row => !seen.has(row.span_id))
  const level = rest.length > 0 || spans.length === 0 ? rowLevel : 'full'
  return { level, spans: [...spans, ...rest.map(structured)].sort(byStart) }
}

/** What rows hold: those of hot without the text, whether that is still there or not, or those of segments. */
export function rowsOf(rows: readonly SpanRow[], level: 'structured' | 'hashed'): ReadTrace {
  return { level, spans: rows.map(structured).sort(byStart) }
}

/** The text of OTLP/JSON that decodes to the same spans. Undefined: not every span is held at full level. */
export function otlpOf(read: HeldSpans): string | undefined {
  const whole = wholeTrace(read)
  const seen = new Set<string>()
  for (const { scopeSpans } of whole.resourceSpans) {
    for (const { spans } of scopeSpans) for (const { spanId } of spans) seen.add(spanId)
  }
  const isWhole = seen.size > 0 && read.spans.every(({ span_id }) => seen.has(span_id))
  return isWhole ? tracesToJson(whole) : undefined
}

/** Slices in the order that the store gives them, a span that a client sent twice only where it came first. */
function wholeTrace(read: Pick<HeldSpans, 'bodies'>): TracesData {
  const seen = new Set<string>()
  const first = (span: Span): boolean => {
    if (seen.has(span.spanId)) return false
    seen.add(span.spanId)
    return true
  }
  const resourceSpans: ResourceSpans[] = []
  for (const body of read.bodies) {
    for (const from of decodeTraces(body.bytes).resourceSpans) {
      const scopeSpans: ScopeSpans[] = []
      for (const group of from.scopeSpans) {
        const spans = group.spans.filter(first)
        if (spans.length > 0) scopeSpans.push({ ...group, spans })
      }
      if (scopeSpans.length > 0) resourceSpans.push({ ...from, scopeSpans })
    }
  }
  return { resourceSpans }
}

function structured(row: SpanRow): StructuredSpan {
  return {
    traceId: row.trace_id,
    spanId: row.span_id,
    parentSpanId: row.parent_span_id ?? '',
    name: row.name,
    kind: row.kind,
    startTimeUnixNano: row.start_time_unix_nano.toString(),
    endTimeUnixNano: row.end_time_unix_nano.toString(),
    status: { code: row.status_code },
    attributes: keyValues(row.attributes),
    resource: { attributes: keyValues(row.resource_attributes) },
    scope: { name: row.scope_name, version: row.scope_version },
    events: JSON.parse(row.events),
    links: JSON.parse(row.links),
    genAi:
      row.gen_ai_operation === null && row.gen_ai_model === null && row.gen_ai_tool === null
        ? null
        : {
            operation: row.gen_ai_operation,
            provider: row.gen_ai_provider,
            model: row.gen_ai_model,
            toolName: row.gen_ai_tool,
            inputTokens: row.input_tokens,
            outputTokens: row.output_tokens,
            costUsd: row.cost_usd,
          },
  }
}

function keyValues(json: string): { key: string; value: unknown }[] {
  return Object.entries(JSON.parse(json) as object).map(([key, value]) => ({ key, value }))
}

function byStart(
  a: { readonly startTimeUnixNano: string; readonly spanId: string },
  b: { readonly startTimeUnixNano: string; readonly spanId: string },
): number {
  const difference = BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)
  if (difference !== 0n) return difference < 0n ? -1 : 1
  return a.spanId < b.spanId ? -1 : 1
}

/** A row of a search: enough to choose a trace by. */
export interface TraceListItem {
  readonly traceId: string
  readonly state: 'kept' | 'dropped' | 'expired' | 'awaiting'
  readonly primary: string
  readonly rules: readonly string[]
  readonly service: string | null
  readonly operation: string | null
  readonly variant: string | null
  readonly durationMs: number | null
  readonly spanCount: number | null
  /** What stores may still hold of its spans, at the least and by its age; null where nothing is held. */
  readonly content: ContentLevel | null
  readonly costUsd: number | null
  readonly adjustedCount: number | null
  readonly firstSpanAt: string | null
  readonly decidedAt: string
}

export function listItem(decision: DecisionHead, content: ContentLevel | null): TraceListItem {
  return {
    traceId: decision.traceId,
    state: 'kept',
    primary: decision.primary,
    rules: decision.rules.filter(rule => rule.matched).map(rule => rule.name),
    service: decision.service,
    operation: decision.operation,
    variant: decision.variant,
    durationMs: decision.durationMs,
    spanCount: decision.spanCount,
    content,
    costUsd: decision.costUsd,
    adjustedCount: decision.adjustedCount,
    firstSpanAt:
      decision.firstSpanAtMs === null ? null : new Date(decision.firstSpanAtMs).toISOString(),
    decidedAt: new Date(decision.decidedAtMs).toISOString(),
  }
}
