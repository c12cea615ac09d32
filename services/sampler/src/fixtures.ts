import {
  blockAt,
  blockFlag,
  type EvaluationRecord,
  type PackedSlice,
  packSlice,
  type RescueRequest,
  type SliceFacts,
  type Summary,
  spanBlockBytes,
} from '@winnow/model'

/** Evidence for tests and benches, as an assembler would write it. */

export interface FixtureSpan {
  /** Becomes 16 hex digits. */
  readonly id: number
  /** Spans of one operation are attempts of it. */
  readonly operation?: number
  readonly startMs?: number
  readonly error?: boolean
  readonly inputTokens?: number
  readonly outputTokens?: number
  readonly costUsd?: number
}

export const spanIdOf = (id: number): string => id.toString(16).padStart(16, '0')

/** A trace id with R given by its last 14 hex digits; `f…` is kept by any probability above 2^-4. */
export const traceIdOf = (id: number, randomness = '00000000000000'): string =>
  id.toString(16).padStart(18, 'a') + randomness

export function slice(
  offset: number,
  spans: readonly FixtureSpan[],
  facts: Partial<SliceFacts> = {},
  appendedAtMs = 1_000,
): PackedSlice {
  const starts = spans.map(({ startMs = 0 }) => startMs)
  const firstMs = Math.min(...starts)
  const blocks = Buffer.alloc(spans.length * spanBlockBytes)
  spans.forEach((span, at) => {
    const block = blocks.subarray(at * spanBlockBytes)
    block.writeBigUInt64BE(BigInt(span.id), blockAt.spanId)
    block.writeUInt32LE(span.operation ?? span.id, blockAt.opHash)
    block.writeUInt32LE((span.startMs ?? 0) - firstMs, blockAt.startOffsetMs)
    block.writeUInt32LE(span.inputTokens ?? 0, blockAt.inputTokens)
    block.writeUInt32LE(span.outputTokens ?? 0, blockAt.outputTokens)
    block.writeDoubleLE(span.costUsd ?? 0, blockAt.costUsd)
    block.writeUInt32LE(span.error === true ? blockFlag.error : 0, blockAt.flags)
  })
  return packSlice({
    ref: { partition: 0, offset, start: 0, length: 100, spanCount: spans.length },
    appendedAtMs,
    facts: {
      startNs: `${BigInt(firstMs) * 1_000_000n}`,
      endNs: `${BigInt(Math.max(...starts)) * 1_000_000n}`,
      spans: blocks.toString('base64'),
      ...facts,
    },
  })
}

/** Facts of a slice that holds the root, span 1. */
export function root(durationMs: number, more: Partial<SliceFacts> = {}): Partial<SliceFacts> {
  const spanId = spanIdOf(1)
  return {
    roots: [{ spanId, service: 'refund-bot', name: 'refund_chat.turn', startNs: '0', durationMs }],
    services: ['refund-bot'],
    ...more,
  }
}

export function summary(
  traceId: string,
  slices: readonly PackedSlice[],
  more: Partial<Summary> = {},
): Summary {
  return {
    v: 1,
    kind: 'summary',
    tenant: 'default',
    traceId,
    slices,
    reason: 'root',
    missingParents: 0,
    closedAtMs: 2_000,
    ...more,
  }
}

export function evaluation(
  traceId: string,
  more: Partial<EvaluationRecord> & { readonly name: string },
): EvaluationRecord {
  const id = `${traceId}.${more.name}`
  return { v: 1, kind: 'evaluation', tenant: 'default', traceId, id, ...more }
}

export function request(traceId: string, more: Partial<RescueRequest> = {}): RescueRequest {
  const id = `${traceId}.r`
  return { v: 1, kind: 'request', tenant: 'default', traceId, id, reason: 'why?', ...more }
}
