import { type Finding, failed, ok, warning } from './finding.ts'

/** Apart by so much, waits that run by two clocks still end in the order they should. */
export const clockOffsetMs = 2_000

/** Apart by so much, signatures and certificates begin to be refused. */
export const clockOffsetMaxMs = 60_000

/** What a server said its time was, and when it was asked and had answered by our clock. */
export interface ServerTime {
  readonly serverMs: number
  readonly askedMs: number
  readonly answeredMs: number
  /** How coarse the server's answer is: a second for an HTTP date. */
  readonly stepMs: number
}

/** How far a server's clock is from this machine's, as far as its answer can tell. */
export function clockFinding(key: string, time: ServerTime): Finding {
  const { serverMs, askedMs, answeredMs, stepMs } = time
  const early = serverMs + stepMs - askedMs
  const late = serverMs - answeredMs
  // Within the question and the step nobody can tell.
  const offsetMs = early < 0 ? early : Math.max(0, late)
  const words = `its clock is ${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${offsetMs < 0 ? 'behind' : 'ahead of'} this machine's`
  const remedy = 'let both take their time from one source (NTP)'
  if (Math.abs(offsetMs) > clockOffsetMaxMs) return failed(key, words, remedy)
  if (Math.abs(offsetMs) > clockOffsetMs) return warning(key, words, remedy)
  return ok(key, 'its clock agrees with this machine’s')
}
