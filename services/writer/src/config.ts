import { bytesKey, durationKey } from '@winnow/runtime'
import { z } from 'zod'

export const writerConfigSchema = z
  .strictObject({
    /** A segment is written once its oldest decision has waited this long. */
    segmentAge: durationKey('1min'),
    /** … or once its kept spans fill this much of memory, */
    segmentBytes: bytesKey('64MiB'),
    /** … or once it holds this many decisions. */
    segmentDecisions: z.int().min(1).max(10_000_000).default(100_000),
    /** Records of `spans` that stay decoded for the next slice that lies in them. */
    recordCache: bytesKey('64MiB'),
    /** Traces in one transaction of the hot store. */
    hotBatch: z.int().min(1).max(100_000).default(500),
    /** How often the hot store is asked to expire what its tier no longer allows. */
    expireEvery: durationKey('1min'),
  })
  .prefault({})

export type WriterConfig = z.infer<typeof writerConfigSchema>

/** Bytes of `decisions` a partition reads at a time. */
export const readBytesMax = 1024 * 1024

/** Longest sleep at the end of the log. */
export const idleWaitMs = 250

/** Fetches of `spans` in flight at once, over all partitions of one reader. */
export const fetchesMax = 8
