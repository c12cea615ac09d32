// Hot: every span passes here twice, in the receiver and in the assembler.
import { PipelineError } from '@winnow/runtime'
import { attributeLevel, type Interest } from './interest.ts'
import { scanSpan } from './scan-span.ts'
import { scanAttribute } from './scan-value.ts'
import type { SpanTable } from './span-table.ts'
import { afterField, afterVarint, lengthAt, scanBytesMax, tagAt } from './wire-scan.ts'

/**
 * Scans `bytes[start, end)`, a `TracesData` or, the same bytes, an `ExportTraceServiceRequest`, and
 * adds its spans, envelopes and wanted attributes to the table. Positions in the table count from
 * the beginning of `bytes`, which must stay as it is until the table is cleared. Returns the number
 * of rows added.
 *
 * What it accepts, `decodeTraces` accepts. Throws PAYLOAD_INVALID for malformed bytes and for values
 * nested deeper than `anyValueDepthMax`, PAYLOAD_TOO_LARGE above `scanRowsMax` or `scanBytesMax`,
 * after linear time at most, and then leaves the table as it was. A span whose ids are not valid
 * stays in its row with a `problem`.
 */
export function scanTraces(
  bytes: Uint8Array,
  start: number,
  end: number,
  table: SpanTable,
  interest: Interest,
): number {
  if (bytes.length > scanBytesMax) {
    throw new PipelineError(
      'PAYLOAD_TOO_LARGE',
      `a payload of ${bytes.length} bytes, over ${scanBytesMax} (scanBytesMax); send smaller batches`,
    )
  }
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new RangeError(`[${start}, ${end}) does not lie within ${bytes.length} bytes`)
  }
  const before = table.length
  const source = table.begin(bytes)
  try {
    scanRoot(table.sources[source] as Buffer, start, end, table, interest, source)
  } catch (error) {
    table.rollback()
    throw error
  }
  return table.length - before
}

function scanRoot(
  bytes: Uint8Array,
  start: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  source: number,
): void {
  let at = start
  while (at < end) {
    const fieldStart = at
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 10) {
      const resource = table.resources.open(source, fieldStart, stop)
      at += lengthAt(bytes, at, end) & 15
      scanResourceSpans(bytes, at, stop, table, interest, resource)
    }
    at = stop
  }
}

function scanResourceSpans(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  resource: number,
): void {
  let at = from
  while (at < end) {
    const fieldStart = at
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 18) {
      const scope = table.scopes.open(resource, fieldStart, stop)
      at += lengthAt(bytes, at, end) & 15
      scanScopeSpans(bytes, at, stop, table, interest, resource, scope)
    } else {
      if (tag === 10) {
        at += lengthAt(bytes, at, end) & 15
        scanResource(bytes, at, stop, table, interest, resource)
      }
      table.resources.addPiece(resource, table.pieces, fieldStart, stop)
    }
    at = stop
  }
}

function scanScopeSpans(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  resource: number,
  scope: number,
): void {
  let at = from
  while (at < end) {
    const fieldStart = at
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 18) {
      const row = table.open()
      table.fieldStart[row] = fieldStart
      table.resource[row] = resource
      table.scope[row] = scope
      at += lengthAt(bytes, at, end) & 15
      scanSpan(bytes, at, stop, table, interest, row)
    } else {
      if (tag === 10) {
        at += lengthAt(bytes, at, end) & 15
        scanScope(bytes, at, stop, table, interest, scope)
      }
      table.scopes.addPiece(scope, table.pieces, fieldStart, stop)
    }
    at = stop
  }
}

function scanResource(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  resource: number,
): void {
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 10) {
      at += lengthAt(bytes, at, end) & 15
      const hit = scanAttribute(bytes, at, stop, table, interest, attributeLevel.resource, resource)
      if (hit >= 0) chain(table.resources.hitFirst, table.resources.hitLast, resource, table, hit)
    } else if (tag === 26) {
      at += lengthAt(bytes, at, end) & 15
      checkFields(bytes, at, stop)
    }
    at = stop
  }
}

function scanScope(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  scope: number,
): void {
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 26) {
      at += lengthAt(bytes, at, end) & 15
      const hit = scanAttribute(bytes, at, stop, table, interest, attributeLevel.scope, scope)
      if (hit >= 0) chain(table.scopes.hitFirst, table.scopes.hitLast, scope, table, hit)
    }
    at = stop
  }
}

function chain(
  first: Int32Array,
  last: Int32Array,
  owner: number,
  table: SpanTable,
  hit: number,
): void {
  const before = last[owner] as number
  if (before < 0) first[owner] = hit
  else table.hits.next[before] = hit
  last[owner] = hit
  table.hits.next[hit] = -1
}

/** A message of which nothing is wanted but that it is one. */
function checkFields(bytes: Uint8Array, from: number, end: number): void {
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterField(bytes, tag, afterVarint(bytes, at, end), end)
  }
}
