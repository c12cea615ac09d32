// Hot: the writer goes through here for every kept trace.
import { headText } from '../facts-only.ts'
import { dayOf, hourOf } from '../hot-period.ts'
import { matchingRules } from '../hot-search.ts'
import type { HotTrace } from '../hot-store.ts'
import type { BulkOp } from './bulk-writer.ts'
import { indexName } from './index-names.ts'
import { spanDocuments } from './span-document.ts'

/** The format this release writes and the newest it reads: of a part's document, of a trace's and of a span's. */
export const documentFormat = 1

/** Where a slice's bytes lie, in the index that `BodyPlaces` names. */
export type BodyPlace = readonly [ref: string, bytes: number]

export interface BodyPlaces {
  readonly index: string
  readonly places: readonly BodyPlace[]
}

/**
 * What one put brings beside the trace's own document: its bodies, its spans as documents for people
 * and Dashboards, and a part, which holds the span rows' exact bytes and names the bodies.
 *
 * Versions are offsets, and ids name the log: within one log a lower offset never replaces a higher,
 * of two logs both stay, and whoever reads takes the later decision's.
 */
export function* partOps(prefix: string, trace: HotTrace): Generator<BulkOp> {
  const { decision, logId, partition, offset, spans, bodies } = trace
  if (spans.count === 0 && bodies.length === 0) return
  const { tenant, traceId, decidedAtMs, seriesAtMs } = decision
  const owned = { tenant, traceId, logId }
  const day = dayOf(seriesAtMs)
  const textIndex = indexName(prefix, 'text', hourOf(decidedAtMs))
  for (const { ref, bytes } of bodies) {
    const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
    const owner = JSON.stringify({ tenant, traceId }).slice(0, -1)
    yield {
      ...named(trace, textIndex, bodyId(owned, ref)),
      // The bytes of a slice never change: whoever writes them first has written them.
      lines: `{"create":{"_index":"${textIndex}","_id":${JSON.stringify(bodyId(owned, ref))}}}\n${owner},"bytes":"${base64}"}\n`,
    }
  }
  const spanIndex = indexName(prefix, 'spans', day)
  const rows = spans.rows()
  const documents = spanDocuments(trace, rows)
  for (let at = 0; at < rows.length; at++) {
    const id = `${traceId}/${logId}/${rows[at]?.span_id}/${tenant}`
    yield versioned(trace, spanIndex, id, documents[at] as string)
  }
  const part = `${bodies[0]?.ref ?? ''} ${bodies.length} ${spans.count}`
  const held: BodyPlaces = {
    index: textIndex,
    places: bodies.map(({ ref, bytes }) => [ref, bytes.length]),
  }
  const origin = {
    v: documentFormat,
    tenant,
    traceId,
    logId,
    partition,
    offset,
    decidedAt: decidedAtMs,
    part,
    bytes: bodies.reduce((sum, { bytes }) => sum + bytes.length, 0),
  }
  const base64 = Buffer.from(spans.bytes.buffer, spans.bytes.byteOffset, spans.bytes.length)
  const text = `${JSON.stringify(origin).slice(0, -1)},"bodies":${JSON.stringify(held)},"spans":"${base64.toString('base64')}"}`
  const id = `${traceId}/${logId}/${offset}/${part}/${tenant}`
  yield versioned(trace, indexName(prefix, 'parts', day), id, text)
}

/** The trace's own document: the last decision, and what of it is searched for or summed up. */
export function traceOp(prefix: string, trace: HotTrace): BulkOp {
  const { decision, json, logId, partition, offset } = trace
  const { tenant, traceId } = decision
  const fields = {
    v: documentFormat,
    tenant,
    traceId,
    logId,
    partition,
    offset,
    decidedAt: decision.decidedAtMs,
    revision: decision.revision,
    rule: decision.primary,
    rules: matchingRules(decision),
    serviceName: decision.service,
    operation: decision.operation,
    experiment: decision.experiment,
    variant: decision.variant,
    stratum: decision.stratum,
    cause: decision.cause,
    durationMs: decision.durationMs,
    spanCount: decision.spanCount,
    inputTokens: decision.inputTokens,
    outputTokens: decision.outputTokens,
    costUsd: decision.costUsd,
    probability: decision.probability,
    adjustedCount: decision.adjustedCount,
    firstSpanAt: decision.firstSpanAtMs,
    seriesAt: decision.seriesAtMs,
  }
  const text = `${JSON.stringify(fields).slice(0, -1)},"decision":${headText(decision, json)}}`
  const index = indexName(prefix, 'traces', dayOf(decision.seriesAtMs))
  return versioned(trace, index, `${traceId}/${logId}/${tenant}`, text)
}

export function bodyId(
  { tenant, traceId, logId }: Readonly<Record<'tenant' | 'traceId' | 'logId', string>>,
  ref: string,
): string {
  return `${traceId}/${logId}/${ref}/${tenant}`
}

function versioned(trace: HotTrace, index: string, id: string, text: string): BulkOp {
  return {
    ...named(trace, index, id),
    lines: `{"index":{"_index":"${index}","_id":${JSON.stringify(id)},"version":${trace.offset},"version_type":"external"}}\n${text}\n`,
  }
}

function named({ decision }: HotTrace, index: string, id: string): Omit<BulkOp, 'lines'> {
  return { index, id, tenant: decision.tenant, traceId: decision.traceId }
}
