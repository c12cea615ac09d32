/**
 * Where one slice lies on the `spans` topic: `length` bytes from `start` within the value of the
 * record at (partition, offset). A slice's identity. Those bytes are valid OTLP `TracesData` and
 * hold spans of exactly one trace of one tenant.
 */
export interface SpanRef {
  readonly partition: number
  readonly offset: number
  readonly start: number
  readonly length: number
  /** Spans in the slice, a client's duplicates included. */
  readonly spanCount: number
}

/** The text that two refs share exactly when they name the same slice of one log. */
export function refKey(ref: SpanRef): string {
  return `${ref.partition}:${ref.offset}:${ref.start}`
}

/** The order in which a trace's slices are folded: by offset, then by start. */
export function compareRefs(a: SpanRef, b: SpanRef): number {
  return a.offset - b.offset || a.start - b.start
}
