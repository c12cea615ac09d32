import { bytesKey, durationKey } from '@winnow/runtime'
import { z } from 'zod'

export const queryConfigSchema = z
  .strictObject({
    /** Memory for the last decisions, some 120 bytes a trace; older ones are answered from the stores. */
    foldBytesMax: bytesKey('64MiB'),
    /**
     * Days of the ledger that one request looks into, an index of many days as one; it says how far it came, and
     * older ones are asked for. More than the ledger's life, so that a year is searched without any index too.
     */
    ledgerDaysMax: z.int().min(1).max(3_660).default(400),
    /** An evaluation that has waited for its trace this long, in log time, has missed it. */
    awaitingMax: durationKey('24h'),
    /** Pause between two looks of `verify` at the log; 0s: it is read when somebody asks. */
    verifyEvery: durationKey('1s'),
    /** Slices that `verify` holds at about 100 bytes each; its window is the youngest that many. */
    verifySlicesMax: z.int().min(1).max(1_000_000_000).default(4_000_000),
  })
  .prefault({})

export type QueryConfig = z.infer<typeof queryConfigSchema>

/** Bytes of `decisions` a partition reads at a time. */
export const readBytesMax = 1024 * 1024

/** Longest wait at the end of `decisions`. */
export const tailWaitMs = 250

/** Traces a search page can hold, and how many it holds when nobody says. */
export const pageLimitMax = 1000
export const pageLimitDefault = 50

/** Services that a sampling report lists. */
export const servicesListedMax = 1000

/** Bytes of a request body. */
export const bodyBytesMax = 1024 * 1024

/** How long a request may take to arrive; without a limit a slow one would hold its connection for ever. */
export const requestWaitMaxMs = 30_000

/** How long a request waits for the bus before it is told to come again. A late landing is a duplicate. */
export const appendWaitMaxMs = 5000

/** How long `stop` waits for requests under way before it ends their connections. */
export const stopWaitMaxMs = 5000

/** How far the clock that stamps records may be behind ours: the assembler's `clockSlack`. */
export const clockSlackMs = 2000

/** How long a request waits for a verification before it is told how far that is. */
export const verifyWaitMs = 10_000
