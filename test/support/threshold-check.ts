import type { Why } from '@winnow/query'
import { checkP99, percentile, type TraceKey } from '@winnow/testing'

interface Judged {
  readonly key: TraceKey
  readonly service: string
  readonly operation: string
  readonly variant: string | null
  readonly durationMs: number
  /** Log time at which it was closed, hence judged and learned: no other order can be known here. */
  readonly atMs: number
  readonly threshold: number | undefined
  /** The baseline it was compared with, `<service> <operation>[ <variant>]`, and how much that knew. */
  readonly baseline: string
  readonly count: number
  /** What an incident does to a bar is no p99 of all that was seen, and says so. */
  readonly isIncident: boolean
}

/**
 * Whether each recorded threshold of `slow` is a p99 of what its baseline had seen (invariant 6). The
 * window is one hour and the run shorter, so a baseline has seen all that was decided before. Which
 * traces those are is known where stages keep in step, `isInStep`; else partitions run ahead of each
 * other, and only how many is known.
 */
export function thresholdMistakes(asked: ReadonlyMap<TraceKey, Why>, isInStep: boolean): string[] {
  const judged = [...asked].flatMap(([key, why]) => judgedOf(key, why) ?? [])
  const mistakes: string[] = []
  for (const [tenant, own] of Map.groupBy(judged, ({ key }) => key.slice(0, key.indexOf('/')))) {
    const windows = windowsOf(own)
    const usual = own.filter(({ isIncident }) => !isIncident)
    for (const [baseline, compared] of Map.groupBy(usual, one => one.baseline)) {
      const window = windows.get(baseline) ?? []
      const check = isInStep ? stepwise(window) : roughly(window)
      for (const one of compared.toSorted((a, b) => a.count - b.count)) {
        const wrong = countMistake(one, window.length) ?? check(one)
        if (wrong !== null) mistakes.push(`${tenant} ${one.key} against ${baseline}: ${wrong}`)
      }
    }
  }
  return mistakes
}

/** As the sampler's default configuration has it. */
const countMin = 500
/** Durations by which the order of learning may differ from the order of closing, within a millisecond. */
const looseBy = 4

function countMistake({ threshold, count }: Judged, known: number): string | null {
  if (count > known) return `${count} durations, but only ${known} traces have it`
  if (threshold === undefined) {
    return count < countMin ? null : `no threshold although it knows ${count} durations`
  }
  return count < countMin ? `a threshold from ${count} durations` : null
}

type Check = (judged: Judged) => string | null

/** Asked by rising count: within the 98.5th and 99.5th percentile of the first so many durations. */
function stepwise(window: readonly number[]): Check {
  const sorted = new SortedPrefix(window)
  return ({ threshold, count }) => {
    if (threshold === undefined) return null
    const wrong = checkP99(sorted.of(count), threshold)
    for (let by = 1; wrong !== null && by <= looseBy; by++) {
      for (const size of [count - by, count + by]) {
        if (checkP99(window.slice(0, size), threshold) === null) return null
      }
    }
    return wrong
  }
}

/**
 * Between the 98.5th percentile of the shortest and the 99.5th of the longest so many of all durations,
 * whichever they were; the nearer to the end of the run, the narrower.
 */
function roughly(window: readonly number[]): Check {
  const sorted = window.toSorted((a, b) => a - b)
  return ({ threshold, count }) => {
    if (threshold === undefined) return null
    const low = percentile(sorted.slice(0, count), 98.5) ?? 0
    const high = (percentile(sorted.slice(-count), 99.5) ?? 0) * bucket
    return threshold >= low && threshold <= high
      ? null
      : `the threshold ${threshold} ms lies outside of ${low} to ${high} ms, where any ${count} of ${window.length} durations have their p99`
  }
}

/** Upper bound of a sketch's bucket over its lower one, and a rounding. */
const bucket = (1.005 / 0.995) * (1 + 1e-6)

/** The first so many of a list by size; asked for more and more of them. Sorting each anew takes seconds. */
class SortedPrefix {
  readonly #list: readonly number[]
  readonly #sorted: number[] = []

  constructor(list: readonly number[]) {
    this.#list = list
  }

  of(count: number): readonly number[] {
    for (const value of this.#list.slice(this.#sorted.length, count)) {
      const above = this.#sorted.findLastIndex(other => other <= value) + 1
      this.#sorted.splice(above, 0, value)
    }
    return this.#sorted
  }
}

/** Durations of each baseline in the order in which it came to know them. */
function windowsOf(judged: readonly Judged[]): Map<string, number[]> {
  const windows = new Map<string, number[]>()
  const learn = (name: string, durationMs: number): void => {
    const window = windows.get(name)
    if (window === undefined) windows.set(name, [durationMs])
    else window.push(durationMs)
  }
  for (const { service, operation, variant, durationMs } of judged.toSorted(
    (a, b) => a.atMs - b.atMs,
  )) {
    learn(`${service} ${operation}`, durationMs)
    if (variant !== null) learn(`${service} ${operation} ${variant}`, durationMs)
  }
  return windows
}

/** Undefined for a trace without a root: it is in no baseline. */
function judgedOf(key: TraceKey, why: Why): Judged | undefined {
  const { service, operation, variant, durationMs, closedAt } = why
  const slow = why.rules.find(rule => rule.name === 'slow')
  const { key: baseline, count, apart, raised } = slow?.detail ?? {}
  if (service === null || operation === null || durationMs === null || closedAt === null) return
  if (typeof baseline !== 'string' || typeof count !== 'number') return
  const threshold = typeof slow?.threshold === 'number' ? slow.threshold : undefined
  return {
    key,
    service,
    operation,
    variant,
    durationMs,
    atMs: Date.parse(closedAt),
    threshold,
    baseline,
    count,
    isIncident: apart !== undefined || raised === true,
  }
}
