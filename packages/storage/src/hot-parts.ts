import { compareRefKeys } from './hot-search.ts'
import type { HotBody } from './hot-store.ts'
import { type HotVersion, isNewer } from './hot-version.ts'
import type { SpanPack } from './span-pack.ts'
import { compareSpans, type SpanRow } from './span-row.ts'

/** One row a span id: the later decision's, of one decision's parts the first's. By start, then id. */
export function spansOf(parts: readonly (HotVersion & { readonly spans: SpanPack })[]): SpanRow[] {
  const spans = new Map<string, { readonly row: SpanRow; readonly by: HotVersion }>()
  for (const part of parts) {
    for (const row of part.spans.rows()) {
      const before = spans.get(row.span_id)
      if (before === undefined || isNewer(part, before.by))
        spans.set(row.span_id, { row, by: part })
    }
  }
  return [...spans.values()].map(({ row }) => row).sort(compareSpans)
}

/**
 * By (offset, start) of their slices, each slice once. One ref of two logs is two slices, the later
 * log's first. `read` has none where the text has expired. Those of decisions before `textFromMs` are left out.
 */
export function bodiesOf<Part extends HotVersion>(
  parts: readonly Part[],
  read: (part: Part) => readonly HotBody[] | undefined,
  textFromMs = 0,
): HotBody[] {
  const bodies = new Map<string, { readonly body: HotBody; readonly by: HotVersion }>()
  for (const part of parts) {
    if (part.decidedAtMs < textFromMs) continue
    for (const body of read(part) ?? []) {
      bodies.set(`${part.logId} ${body.ref}`, { body, by: part })
    }
  }
  return [...bodies.values()]
    .sort((a, b) => compareRefKeys(a.body.ref, b.body.ref) || (isNewer(a.by, b.by) ? -1 : 1))
    .map(({ body }) => body)
}
