import type { Bus } from '@winnow/bus'
import { type CountingState, writtenVersion } from '@winnow/model'
import { type ColdHasher, type ColdHashers, coldKeyCheck } from '@winnow/privacy'
import { type Log, type Metrics, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  type SegmentMetadata,
  type SegmentRows,
  SegmentSpans,
  type SpanPack,
  unknownDigest,
  writeSegment,
} from '@winnow/storage'
import type { Erasures } from './erase/erasures.ts'
import { type OpenSegment, type SegmentRange, sha256 } from './open-segment.ts'

export interface SegmentTarget {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly decisions: string
  readonly logId: string
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  /** Traces that must not come back; without it there are none. */
  readonly erasures?: Erasures | undefined
  readonly log: Log
  readonly metrics: Metrics
}

export type SegmentPut =
  | { readonly kind: 'written'; readonly range: SegmentRange; readonly after: CountingState }
  /** The ledger's `b`, which somebody else has fixed, lies beyond what has been read. */
  | { readonly kind: 'behind'; readonly b: number }

/**
 * Writes the three tiers for exactly [a, b]. The ledger first: what it says of b holds for the other
 * tiers, whoever wrote it. Done twice, it changes nothing. Rows of erased traces are left out, and counted: so
 * writers of one range agree on its rows, whichever of them knew of an erasure. Rejects with
 * STORE_UNAVAILABLE, and with DATA_CORRUPT where the name is taken by another log's object.
 */
export async function putSegment(target: SegmentTarget, open: OpenSegment): Promise<SegmentPut> {
  const ours = open.range()
  const digest = ours.digest ?? (await digestOf(target, open.partition, ours.first.offset))
  const spans = new SegmentSpans(ours.packs)
  const asRead = metadataOf(target, open, ours, spans.count + ours.spansErased, digest)
  const ledger = await put(target, ours, asRead, ours.ledger)
  if (ledger.b > ours.b) return { kind: 'behind', b: ledger.b }
  const range = ledger.b === ours.b ? ours : open.range(ledger.b)
  // A span that two decisions brought is one row: so they are counted as they are written.
  const all = range === ours ? spans : new SegmentSpans(range.packs)
  const packs = await notErased(target, range.packs)
  const written = packs === range.packs ? all : new SegmentSpans(packs)
  const { count } = written
  const rows = all.count + range.spansErased
  sayWhereTheyDiffer(target.log, ledger, range, rows)
  // The count of the ledger's rows is its own; of the others it is what these objects hold, and lack.
  const metadata = {
    ...metadataOf(target, open, range, rows, digest),
    rows: { ledger: ledger.rows.ledger, warm: rows, cold: rows },
    ...(rows > count && { erased: rows - count }),
  }
  const hashers = await hashersOf(written.tenants, target.hashers)
  const cold = { tier: 'cold', count, groups: () => written.cold(hashers) } as const
  const coldKeys = new Map([...hashers].map(([tenant, one]) => [tenant, coldKeyCheck(one)]))
  const keysSaid = coldKeys.size > 0 && { coldKeys }
  const there = await put(target, range, { ...metadata, ...keysSaid }, cold)
  // What we have put ourselves has our keys.
  if (there.coldKeys !== coldKeys) await sayOtherKeys(target, there)
  const warm = { tier: 'warm', count, groups: () => written.warm() } as const
  await put(target, range, metadata, warm)
  written.release()
  return { kind: 'written', range, after: ledger.after }
}

/**
 * The ledger may have been there for a while, from an owner who knew of erasures that came since these were
 * gathered: what is blocked by now is not put at all. The same list where nothing is.
 */
async function notErased(
  { erasures }: SegmentTarget,
  packs: readonly SpanPack[],
): Promise<readonly SpanPack[]> {
  if (erasures === undefined) return packs
  await erasures.readToEnd()
  const isErased = ({ tenant, traceId }: SpanPack): boolean => erasures.has(tenant, traceId)
  return packs.some(isErased) ? packs.filter(pack => !isErased(pack)) : packs
}

/**
 * Of a range that begins where another's ended the first record is read once more. Retention may have
 * removed it, after days away: the range is written all the same.
 */
async function digestOf(target: SegmentTarget, partition: number, offset: number): Promise<string> {
  try {
    return sha256((await target.bus.fetch(target.decisions, partition, offset)).value)
  } catch (error) {
    if (!(error instanceof PipelineError && error.code === 'OFFSET_GONE')) throw error
    return unknownDigest
  }
}

async function put(
  { blobs, metrics }: SegmentTarget,
  range: SegmentRange,
  metadata: SegmentMetadata,
  content: SegmentRows,
): Promise<SegmentMetadata> {
  const { tier } = content
  const written = await writeSegment(
    blobs,
    range.first.appendedAtMs,
    { ...metadata, tier },
    content,
  )
  if (written.created) {
    metrics.tierObjects.inc({ tier })
    metrics.tierBytes.inc({ tier }, written.bytes)
  }
  return written.metadata
}

function metadataOf(
  target: SegmentTarget,
  { partition }: OpenSegment,
  range: SegmentRange,
  spans: number,
  digest: string,
): SegmentMetadata {
  return {
    v: writtenVersion('segment'),
    tier: 'ledger',
    partition,
    logId: target.logId,
    a: range.a,
    b: range.b,
    after: range.after,
    rows: { ledger: range.ledger.count, warm: spans, cold: spans },
    digest,
  }
}

/**
 * Another writer may have read bodies that are gone for this one, and have died before it wrote them.
 * That two who read it all count differently cannot be; if it is, the ledger holds, and this line is how it is found.
 */
function sayWhereTheyDiffer(
  log: Log,
  ledger: SegmentMetadata,
  range: SegmentRange,
  spans: number,
): void {
  const { partition, a, b } = ledger
  if (ledger.rows.warm !== spans) {
    log.warn('writer.rows_unlike_ledger', {
      partition,
      a,
      b,
      ledger: ledger.rows.warm,
      ours: spans,
    })
  }
  const isSame = ledger.after.claim === range.after.claim && ledger.after.next === range.after.next
  if (!range.isCut && (!isSame || ledger.rows.ledger !== range.ledger.count)) {
    log.error('writer.counts_unlike_ledger', 'which decisions count is not agreed', {
      partition,
      a,
      b,
    })
  }
}

/**
 * An object that another writer has put is where it shows that he has another key of a tenant: their strings can be
 * compared with nothing of ours, and erasures find them in warm alone.
 */
async function sayOtherKeys(
  { hashers, log, metrics }: SegmentTarget,
  { coldKeys = new Map(), partition, a, b }: SegmentMetadata,
): Promise<void> {
  for (const [tenant, name] of coldKeys) {
    const own = await hashers.all(tenant)
    if (own.some(hasher => coldKeyCheck(hasher) === name)) continue
    metrics.coldKeysUnlike.inc()
    log.warn('writer.cold_keys_unlike', { tenant, partition, a, b })
  }
}

async function hashersOf(
  tenants: ReadonlySet<string>,
  hashers: ColdHashers,
): Promise<ReadonlyMap<string, ColdHasher>> {
  const found = new Map<string, ColdHasher>()
  for (const tenant of tenants) found.set(tenant, await hashers.of(tenant))
  return found
}
