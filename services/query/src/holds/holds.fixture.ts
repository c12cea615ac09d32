import { type Decision, OutcomeMap } from '@winnow/model'
import { emptySpan, encodeTraces, type Span } from '@winnow/otlp'
import { type Scope, scopes, silentLog } from '@winnow/runtime'
import { defaultHotLife, SpanPack, type SpanRow } from '@winnow/storage'
import type { ApiError } from '../api-error.ts'
import { DecisionFold } from '../decision-fold.ts'
import { Estimates } from '../estimate/estimate-route.ts'
import { dayMs, decisionOn, LookupFixture, todayMs, topic, traceIdOf } from '../lookup.fixture.ts'
import type { Answer, RouteDeps } from '../routes.ts'
import { rowOf, StoredFixture } from '../span-lookup.fixture.ts'
import { SpanLookup } from '../span-lookup.ts'

export const text = 'the customer wrote this to us, about order 4481'
export const session = 'sess_91ab'

/** A reader of the tenant that has these scopes, or all. */
export const readerOf = (given: readonly Scope[] = scopes, tenant = 'default') => ({
  tenant,
  scopes: given,
  keyName: 'console',
})

/** What the calls answer over a hot store, segments and decisions, at whatever time it is. */
export async function openHoldWorld() {
  const segments = new StoredFixture()
  const fixture = new LookupFixture(() => segments.blobs)
  const { bus, clock, hot } = fixture
  const { blobs } = segments
  const fold = new DecisionFold({ bus, topic, bytesMax: 1_000_000, clock, log: silentLog })
  await fold.start()
  const lives = { ...defaultHotLife, warmMs: 30 * dayMs, coldMs: 365 * dayMs }
  const blocked = new Set<string>()
  const deps: RouteDeps = {
    bus,
    evidence: 'e',
    hot,
    fold,
    lookup: await fixture.lookup({ fold }),
    stored: new SpanLookup({
      blobs,
      partitionOf: () => 0,
      warmLifeMs: lives.warmMs,
      nowMs: () => clock.nowMs(),
      log: silentLog,
    }),
    blobs,
    log: silentLog,
    lives,
    estimates: new Estimates(),
    waits: { spansRetentionMs: dayMs, awaitingMaxMs: dayMs },
    outcomes: new OutcomeMap(),
    clock,
    erasures: {
      blockedBy: (_tenant, traceId) => (blocked.has(traceId) ? '5c1e09b2f3a47d68' : undefined),
      ask: async () => ({ kind: 'unavailable', remedy: '' }),
      status: async () => undefined,
      list: async () => ({ erasures: [] }),
    },
  }
  const pass = (ms: number): void => {
    clock.advanceMs(ms)
    segments.clock.advanceMs(ms)
  }
  /** A kept trace of two spans in hot, with its text, and in segments. */
  const keep = async (
    n: number,
    changes: Partial<Decision> = {},
    spans: readonly number[] = [1, 2],
  ): Promise<string> => {
    const atMs = clock.nowMs()
    const times = { decidedAtMs: atMs, seriesAtMs: atMs, firstSpanAtMs: atMs, lastSpanAtMs: atMs }
    const kept = { verdict: 'keep', spanCount: 2, ...times, ...changes } as const
    const decision = decisionOn(n, kept)
    const rows = spans.map(span => rowOf(n, span))
    const offset = await fixture.decide(n, kept)
    const { slices: _slices, ...head } = decision
    const bodies = rows.map((row, at) => ({ ref: `0:${offset}:${at}`, bytes: bodyOf(row) }))
    const place = { logId: 'log-1', partition: 0, offset }
    await hot.put([{ decision: head, ...place, spans: SpanPack.of(rows), bodies }])
    await segments.segment(offset, rows, atMs)
    // The fold follows the log by itself.
    const seen = () => fold.latest('default', traceIdOf(n))
    while ((await seen())?.revision !== decision.revision) await clock.sleep(5)
    return traceIdOf(n)
  }
  const stop = async (): Promise<void> => {
    await fixture.stop()
    await fold.stop()
  }
  return { fixture, blobs, hot, clock, fold, deps, pass, keep, blocked, stop }
}

export type HoldWorld = Awaited<ReturnType<typeof openHoldWorld>>

function bodyOf(row: SpanRow): Uint8Array {
  const span: Span = {
    ...emptySpan,
    traceId: row.trace_id,
    spanId: row.span_id,
    name: row.name,
    startTimeUnixNano: row.start_time_unix_nano,
    attributes: [{ key: 'user.message', value: { stringValue: text } }],
  }
  const scope = { name: '', version: '', attributes: [], droppedAttributesCount: 0 }
  const scopeSpans = [{ scope, spans: [span], schemaUrl: '' }]
  const resource = { attributes: [], droppedAttributesCount: 0 }
  return encodeTraces({ resourceSpans: [{ resource, scopeSpans, schemaUrl: '' }] })
}

export const asked = (traceId: string, changes: Readonly<Record<string, unknown>> = {}) => ({
  traceId,
  reason: 'claim 4481',
  by: 'Ann Lee',
  until: new Date(todayMs + 500 * dayMs).toISOString(),
  ...changes,
})

/** What is answered, a refusal too. */
export async function answered(
  call: Promise<Answer>,
): Promise<{ status: number; body: Record<string, unknown>; text: string }> {
  const { status, body } = await call.catch((error: ApiError) => {
    if (typeof error.body !== 'function') throw error
    return { status: error.status, body: error.body() }
  })
  const shown = typeof body === 'string' ? JSON.parse(body) : body
  return { status, body: shown, text: JSON.stringify(body) }
}
