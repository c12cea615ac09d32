import { PipelineError } from '@winnow/runtime'

/** Limits of one topic's log. Each has the reason for its default beside it. */
export interface FileLogLimits {
  /** Memory that holds the tail, more than one commit: readers within it cost no system call. */
  readonly ringBytes: number
  /** Frames of one commit, hence of one append: as much as a Kafka producer's batch may have. */
  readonly commitBytesMax: number
  /** Frames of appends that are not yet answered. Beyond it: QUOTA_EXCEEDED. */
  readonly waitingBytesMax: number
  /** A file is closed at this size: the grain of retention. */
  readonly segmentBytes: number
  /** A file is closed at this age, however small: the grain of retention where little comes. */
  readonly segmentAgeMs: number
  /**
   * The whole log. Beyond it the oldest files go before their time if every group has read them;
   * where one has not, appends are refused with QUOTA_EXCEEDED: unread data is never cut for room.
   */
  readonly logBytesMax: number
  /** How long past retention a file stays that a group has not read. */
  readonly lagGraceMs: number
}

export interface FileBusLimits {
  /** Space that stays free on the disk: for positions, stores and the operator. */
  readonly freeBytesMin: number
  /** How often retention is looked at. */
  readonly sweepMs: number
  /** Size at which the file of positions is rewritten with the last of each. */
  readonly positionsBytesMax: number
}

const mib = 1 << 20

export const fileLogLimits: FileLogLimits = {
  ringBytes: 16 * mib,
  commitBytesMax: 8 * mib,
  waitingBytesMax: 64 * mib,
  segmentBytes: 256 * mib,
  segmentAgeMs: 15 * 60_000,
  logBytesMax: 64 * 1024 * mib,
  lagGraceMs: 2 * 3_600_000,
}

export const fileBusLimits: FileBusLimits = {
  freeBytesMin: 512 * mib,
  sweepMs: 30_000,
  positionsBytesMax: 4 * mib,
}

/** Refuses limits that contradict each other, by name and with the value that would do. */
export function checkLogLimits(topic: string, limits: FileLogLimits): void {
  const { ringBytes, commitBytesMax, segmentBytes } = limits
  const refuse = (name: keyof FileLogLimits, remedy: string): never => {
    throw new PipelineError('CONFIG_INVALID', `${name} of ${topic} is ${limits[name]}; ${remedy}`)
  }
  for (const name of Object.keys(limits) as (keyof FileLogLimits)[]) {
    if (!Number.isSafeInteger(limits[name]) || limits[name] < 0) refuse(name, 'give a whole number')
  }
  if (ringBytes % 512 !== 0) refuse('ringBytes', 'give a multiple of 512')
  if (ringBytes < commitBytesMax + 512) {
    refuse('ringBytes', `give at least ${commitBytesMax + 512}, one padded commit`)
  }
  // Positions in a segment are 32 bit, and the last commit may begin just below segmentBytes.
  if (segmentBytes + commitBytesMax > 2 ** 31) refuse('segmentBytes', 'give less than 2 GiB')
}
