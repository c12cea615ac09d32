import { bytesKey, durationKey } from '@winnow/runtime'
import { z } from 'zod'

const dayMs = 86_400_000

/** The last segments of the ledger say where a writer goes on that has no commit: they outlive `decisions`. */
export const ledgerLifeMinMs = 7 * dayMs

export const writerConfigSchema = z
  .strictObject({
    /** A segment is written once its oldest decision has waited this long. */
    segmentAge: durationKey('1min'),
    /** … or once what it has gathered fills this much memory, */
    segmentBytes: bytesKey('64MiB'),
    /** … or once it has this many records of `decisions`. */
    segmentDecisions: z.int().min(1).max(1_000_000).default(100_000),
    /** Memory of what all partitions of a writer have gathered; over it the largest is written first. */
    gatheredBytes: bytesKey('256MiB'),
    /** Kept spans that one group has read and the other has not asked for yet; at half of it the first waits. */
    keptCache: bytesKey('64MiB'),
    /** Traces in one transaction of the hot store, */
    hotBatch: z.int().min(1).max(100_000).default(500),
    /** … and bytes of their spans, unless one slice alone has more. */
    hotBatchBytes: bytesKey('8MiB'),
    /** Without an answer of the bus for longer, a put waits until the bus says whose the partition is. */
    maxStall: durationKey('10min'),
    /** How long segments stay, by the UTC date in their name: the whole day has to be older. */
    warmLife: tierLife('30d', dayMs),
    coldLife: tierLife('365d', dayMs),
    ledgerLife: tierLife('365d', ledgerLifeMinMs),
    /** How often what its tier no longer allows is deleted, from the hot store and of segments. */
    expireEvery: durationKey('1min').refine(ms => ms >= expireEveryMinMs && ms <= timerMaxMs, {
      error: 'give 1s to 24d',
    }),
  })
  .refine(({ ledgerLife, warmLife, coldLife }) => ledgerLife >= Math.max(warmLife, coldLife), {
    path: ['ledgerLife'],
    error:
      'give at least warmLife and coldLife: what is in neither ledger nor log cannot be explained',
  })
  .prefault({})

function tierLife(fallback: string, leastMs: number) {
  return durationKey(fallback).refine(ms => ms >= leastMs, {
    error: `give at least ${leastMs / dayMs}d`,
  })
}

export type WriterConfig = z.infer<typeof writerConfigSchema>

/** Expiry lists files or indices: more often than this it would do nothing else. */
export const expireEveryMinMs = 1_000

/** Node fires a longer timer at once. */
const timerMaxMs = 24 * 86_400_000

/** Bytes of `decisions` a partition reads at a time. */
export const readBytesMax = 1024 * 1024

/** Longest sleep at the end of the log. */
export const idleWaitMs = 250

/** Bytes of slices that one partition of the segments asks for at once, unless one alone has more. */
export const readAheadBytesMax = 8 * 1024 * 1024

/** Records of `decisions` that are folded between two looks at the limits. */
export const readAheadRecordsMax = 500

/** Bytes of `decisions` that one group has parsed and the other has not asked for yet; at half the first waits. */
export const parsedBytesMax = 32 * 1024 * 1024

/** Fetches of `spans` in flight at once, over all partitions and both groups of one writer. */
export const fetchesMax = 8

/** Bytes of slices in one of them, unless one slice alone has more. */
export const rangesBytesMax = 8 * 1024 * 1024

/** How long a group that is ahead of the other waits for it. */
export interface PaceLimits {
  /** While the other has taken something over within so long. */
  readonly takenMs: number
  /** While what it has read is younger: bodies must not expire because of it. */
  readonly ageMs: number
}

/** The segments wait for a slow hot store: an hour lies between the latest outcome and the end of a body. */
export const segmentsPace: PaceLimits = { takenMs: 10_000, ageMs: 10 * 60_000 }

/** Hot waits while the segments work, and not while they put: people look at hot, and admission does. */
export const hotPace: PaceLimits = { takenMs: 1_000, ageMs: 10 * 60_000 }

/** Between two looks at whether it still has to. */
export const abreastPauseMs = 10

/** Segments that are encoded and put at once: each holds its rows a second time meanwhile. */
export const flushesMax = 2

/** Between two commits of the hot group where there is more to read: what it repeats after a crash. */
export const hotCommitEveryMs = 1_000

/**
 * A range without a counting decision joins the next one, for it would be an object for nothing. But
 * not for ever: its offset is not committed meanwhile, and retention of `decisions` must not pass it.
 */
export const emptyRangeAgeMs = 24 * 3_600_000

/** How long `stop()` waits for the folds to end by themselves before it takes their leases away. */
export const stopWaitMs = 10_000
