import type { DecisionHead } from '@winnow/model'
import { isRetryable, type Log, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  type HoldContent,
  type HoldHead,
  type ListedHold,
  listHolds,
  readHold,
  readHoldHead,
} from '@winnow/storage'
import { type Content, type ContentLevel, rankOf } from '../content.ts'

/** A hold whose end is to come, by its first line. */
export interface FoundHold {
  readonly key: string
  readonly head: HoldHead
}

export interface HoldReader {
  /** Undefined: there are none. */
  readonly blobs: BlobStore | undefined
  readonly nowMs: number
  readonly log: Log
}

/** Of a tenant, those whose end is to come, or of one of its traces. */
export async function currentHolds(
  { blobs, nowMs }: HoldReader,
  tenant: string,
  traceId?: string,
): Promise<ListedHold[]> {
  if (blobs === undefined) return []
  const all = await Array.fromAsync(listHolds(blobs, tenant, traceId))
  // What has ended is not shown, though nobody may have deleted it yet.
  return all.filter(({ untilMs }) => untilMs > nowMs)
}

/** The hold of a trace that has most of it: of equal levels the later end, which is its name's order. */
export async function bestHold(
  reader: HoldReader,
  tenant: string,
  traceId: string,
): Promise<FoundHold | undefined> {
  let best: FoundHold | undefined
  for (const { key } of await currentHolds(reader, tenant, traceId)) {
    const head = await readable(reader, key, blobs => readHoldHead(blobs, key, tenant))
    if (head === undefined) continue
    if (best === undefined || rankOf(head.level) >= rankOf(best.head.level)) best = { key, head }
  }
  return best
}

/** Undefined: it has ended meanwhile, or cannot be read. */
export async function heldTrace(
  reader: HoldReader,
  { key, head }: FoundHold,
): Promise<HoldContent | undefined> {
  const hold = await readable(reader, key, blobs => readHold(blobs, key, head.tenant))
  return hold?.held
}

/** What a hold has of a trace's spans. Pure. */
export function contentOfHold(
  { id, level, since, spans, until, unlinkable }: HoldHead,
  { spanCount }: Pick<DecisionHead, 'spanCount'>,
): Content {
  const missing = {
    full: [],
    structured: ['text'],
    hashed: ['text', 'strings'],
  } as const satisfies Record<HoldHead['level'], Content['missing']>
  return {
    level,
    since,
    until,
    missing: spans < spanCount ? [...missing[level], 'spans'] : missing[level],
    ...(unlinkable && { unlinkable }),
    hold: id,
  }
}

/** Whether a hold has more than there is without it. */
export function hasMore({ head }: FoundHold, level: ContentLevel | undefined): boolean {
  return rankOf(head.level) > rankOf(level ?? 'none')
}

/** One bad object hides no other; a store that is away makes no answer. */
async function readable<T>(
  { blobs, log }: HoldReader,
  key: string,
  read: (blobs: BlobStore) => Promise<T | undefined>,
): Promise<T | undefined> {
  if (blobs === undefined) return undefined
  try {
    return await read(blobs)
  } catch (error) {
    if (isRetryable(error) || !(error instanceof PipelineError)) throw error
    log.error('query.object_unreadable', error, { key })
    return undefined
  }
}
