/** Which decision it was that wrote something: offsets compare within one log only. */
export interface HotVersion {
  /** Of the `decisions` topic. */
  readonly logId: string
  readonly offset: number
  readonly decidedAtMs: number
}

/**
 * Whether `a` speaks rather than `b`; of equals neither does. A topic that was made again begins with
 * offset 0, so that between two logs the time of the decision counts; the rest makes it an order.
 */
export function isNewer(a: HotVersion, b: HotVersion): boolean {
  if (a.logId === b.logId) return a.offset > b.offset
  if (a.decidedAtMs !== b.decidedAtMs) return a.decidedAtMs > b.decidedAtMs
  return a.logId > b.logId
}
