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
