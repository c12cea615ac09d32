import type { Decision } from '@winnow/model'
import { type BlobStore, ledgerRow, writeSegment } from '@winnow/storage'
import { decisionOn, traceIdOf } from './writer.fixture.ts'

export const ledgerLog = 'log-1'
export const dayMs = 86_400_000
/** 2026-11-21T00:00:00Z. */
export const dayOneMs = Date.UTC(2026, 10, 21)

/** One segment of the ledger of partition 0: a row of each trace, at the offsets from `offset` on. */
export async function putLedger(
  blobs: BlobStore,
  appendedAtMs: number,
  offset: number,
  traces: readonly number[],
  changes: Partial<Decision> & { readonly logId?: string; readonly partition?: number } = {},
): Promise<string> {
  const { logId = ledgerLog, partition = 0, ...decision } = changes
  const rows = traces.map((n, at) =>
    ledgerRow(
      decisionOn(traceIdOf(n), { verdict: 'drop', decidedAtMs: appendedAtMs, ...decision }),
      partition,
      offset + at,
    ),
  )
  const metadata = {
    v: 1,
    tier: 'ledger',
    partition,
    logId,
    a: offset,
    b: offset + Math.max(0, traces.length - 1),
    after: { claim: 0, next: 1 },
    rows: { ledger: rows.length, warm: 0, cold: 0 },
    digest: 'd',
  } as const
  const written = await writeSegment(blobs, appendedAtMs, metadata, { tier: 'ledger', rows })
  return written.key
}

export async function keysOf(blobs: BlobStore, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of blobs.list(prefix)) keys.push(key)
  return keys
}
