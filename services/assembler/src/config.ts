import { bytesKey, durationKey } from '@winnow/runtime'
import { z } from 'zod'
import { closeTimesSchema } from './close-times.ts'

/** The waits and limits of an assembler. Waits can be short: whatever comes later is a fragment. */
export const assemblerConfigSchema = z
  .strictObject({
    /** A trace whose root has ended and whose parents are all there closes after this much silence. */
    quiet: durationKey('5s'),
    /** One without a root closes after this much silence. */
    rootless: durationKey('60s'),
    /** An open trace is summarised as it is after this long, however busy it still is. */
    openMax: durationKey('2min'),
    /** Other waits for traces of a service or with a root of a name; of several lines the first. */
    closeTimes: closeTimesSchema,
    /** How far the broker's clock may lag behind ours before a wall-clock close could overtake a record. */
    clockSlack: durationKey('2s'),
    /** A trace over one of these is summarised in parts. */
    maxSpans: z.int().min(1).max(100_000).default(4000),
    maxBytes: bytesKey('16MiB'),
    maxRefs: z.int().min(1).max(256).default(256),
    /** Traces of one partition that are open at once: of one more the oldest is summarised as it is. */
    maxOpen: z.int().min(1).max(10_000_000).default(200_000),
    /** Between two checkpoints of a partition's open traces, where there is a trace buffer. */
    checkpointEvery: durationKey('5s'),
    /** Without an answer from the bus for so long, it is asked who owns the partition before the next append. */
    maxStall: durationKey('10min'),
  })
  .prefault({})

export type AssemblerConfig = z.infer<typeof assemblerConfigSchema>

/** Bytes of `spans` a partition reads at a time. */
export const readBytesMax = 1024 * 1024

/** Bytes of `spans` that all partitions fold before others get a turn, and one read more: some 5 ms. */
export const turnBytesMax = 1024 * 1024

/** Longest sleep at the end of the log before looking at the clock again. */
export const idleWaitMs = 250

/** Summaries in one append, and closes in one turn: thousands due at once must not hold the thread. */
export const summariesPerAppendMax = 256

/** Bytes of summaries in one append, unless the first alone has more: a bus takes no append of any size. */
export const appendBytesMax = 1024 * 1024

/**
 * Characters of facts in one summary: a trace that has them is summarised in parts. Facts are bounded
 * slice by slice alone; many slices full of outcomes would make a record that no bus takes, and an
 * assembler that cannot write it could never get past it.
 */
export const summaryFactsMax = 1024 * 1024

/** Between two tries of what the bus does not answer. */
export const retryWaitMs = 200

/** How long `stop` waits for the partitions' last summaries, commits and checkpoints. */
export const stopWaitMs = 10_000

/** Between two commits of a partition that has something to commit. */
export const commitEveryMs = 1000
