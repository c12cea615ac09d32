import type { PipelineError } from '@winnow/runtime'

/** What a log has to say to its operator. Every kind is one line of a log, or one counter. */
export type LogEvent =
  /** A write was torn by a crash; nobody had been told of it. */
  | {
      readonly kind: 'truncated'
      readonly topic: string
      readonly path: string
      readonly position: number
      readonly bytes: number
    }
  /** The disk lost records that had been acknowledged. Readers are told the gap. */
  | {
      readonly kind: 'lost'
      readonly topic: string
      readonly path: string
      readonly position: number
      readonly bytes: number
    }
  /** A record read back from the disk has a bad checksum and was passed over as a gap. */
  | {
      readonly kind: 'corrupt'
      readonly topic: string
      readonly partition: number
      readonly offset: number
    }
  /** A file was deleted: its time was over, or the log had reached `logBytesMax`. */
  | {
      readonly kind: 'expired'
      readonly topic: string
      readonly path: string
      readonly bytes: number
      readonly cause: 'age' | 'size'
    }
  /** A keyed log was rewritten with the last record of every key. */
  | {
      readonly kind: 'compacted'
      readonly topic: string
      readonly bytesBefore: number
      readonly bytesAfter: number
    }
  /** A compaction failed and will be tried again; the log holds more than it has to, nothing else. */
  | { readonly kind: 'uncompacted'; readonly topic: string; readonly error: unknown }
  /** Appends are refused for lack of room, or are taken again. Said when it changes. */
  | { readonly kind: 'full'; readonly topic: string; readonly isFull: boolean }
  /** A write or a sync failed. The log takes nothing more until the process is started again. */
  | { readonly kind: 'failed'; readonly topic: string; readonly error: PipelineError }
