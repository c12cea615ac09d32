/**
 * One row of the table that `npm run bench` prints. A `x.bench.ts` beside the code it measures
 * exports `benches: Bench[]` and nothing else.
 */
export interface Bench {
  /** What is measured, as the table shows it: `scan, 8 spans a trace`. */
  readonly name: string
  /** What `run` counts, per second: `spans/s`, `MB/s`, or `%` of a baseline measured in the same run. */
  readonly unit: string
  /** The least that is acceptable; the table marks a row below it and the command exits 1. */
  readonly atLeast?: number
  /** Warms up, measures for about a second on one core, and returns units per second. */
  readonly run: () => number | Promise<number>
}

/**
 * Units a second of one core: calls `turn`, which answers how many it did, for about a second after a
 * warm-up. By this thread's CPU time, not the wall's, so that it is what one core can do, whatever else
 * the machine does meanwhile.
 */
export function coreRate(turn: () => number): number {
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  const runFor = (ms: number): number => {
    let units = 0
    const from = cpuMs()
    while (cpuMs() - from < ms) units += turn()
    return (units * 1000) / (cpuMs() - from)
  }
  runFor(500)
  return runFor(1000)
}
