/**
 * The version of every format of this release: what it writes and the newest it reads. It reads the one
 * before too, ignores fields that it does not know, and refuses newer ones by name. A version that is
 * raised here needs a golden file beside the old one, and a reader of both.
 *
 * What instances of one release tell each other is in here too: two releases run side by side while one
 * takes the other's place, and then `writePreviousFormats` is what keeps the older ones reading.
 */
const current = {
  /** The header of a record of `spans`. */
  tenantRuns: 1,
  /** Summaries, evaluations and requests. */
  evidence: 1,
  /** Decisions and claims, on the topic and in the hot store. */
  decision: 1,
  baselines: 1,
  policyRecord: 1,
  /** What a partition has kept for variants, and when one ended. */
  spendRecord: 1,
  /** An erasure, and the traces it blocks. */
  erasureRecord: 1,
  /** What a writer's commit says beside its offset. */
  positionNote: 1,
  /** An assembler's open traces. */
  checkpoint: 1,
  /** Index snapshots and id indexes. */
  sortedFile: 1,
  segment: 1,
  /** A trace that is kept beyond its expiry. */
  hold: 1,
  /** SQLite. */
  hotFile: 1,
  /** The rows of a trace in the hot store. */
  spanPack: 1,
  /** The file bus. */
  logSegment: 1,
  positions: 1,
  /** Written by people. */
  configuration: 1,
  policyFile: 1,
  keysFile: 1,
}

export type FormatName = keyof typeof current

/** The newest version that this release reads. */
export const formats: Readonly<Record<FormatName, number>> = current

/** Names, for who shows them. */
export const formatNames = Object.keys(current) as readonly FormatName[]

let lag = 0

/**
 * Has this process write every format as the release before does, for as long as an instance of that
 * release may read it. Said once, at the start, before anything is written.
 */
export function writePreviousFormats(isPrevious: boolean): void {
  lag = isPrevious ? 1 : 0
}

/** What is written: the release's own version, or the one before. */
export function writtenVersion(name: FormatName): number {
  return Math.max(1, formats[name] - lag)
}

/** Whether a version is read: the release's own and the one before. */
export function acceptsVersion(name: FormatName, v: unknown): boolean {
  return v === formats[name] || (v === formats[name] - 1 && v >= 1)
}

/** Whether somebody newer wrote it: to skip such a record would part the readers. */
export function isNewerVersion(name: FormatName, v: unknown): v is number {
  return typeof v === 'number' && v > formats[name]
}

/** `1`, or `1 and 2`: for messages. */
export function readVersions(name: FormatName): string {
  const newest = formats[name]
  return newest === 1 ? '1' : `${newest - 1} and ${newest}`
}
