import type { SpanRef } from '@winnow/model'
import type { DecisionFacts } from '../decision-facts.ts'
import type { NamedSlices } from './named-slices.ts'
import type { Problem, ProblemKind } from './problem.ts'

/** One counting decision while the ledger takes it: its sums over the slices that it names itself. */
export class DecisionEntry {
  readonly partition: number
  readonly offset: number
  readonly head: DecisionFacts
  readonly named: NamedSlices
  readonly series: number
  /** Spans whose ids come first in one of its slices, and all. */
  fresh = 0
  spans = 0
  /** Of slices before the window. */
  outFresh = 0
  outRepeats = 0

  constructor(
    partition: number,
    offset: number,
    head: DecisionFacts,
    named: NamedSlices,
    series: number,
  ) {
    this.partition = partition
    this.offset = offset
    this.head = head
    this.named = named
    this.series = series
  }

  refAt(at: number): SpanRef {
    const { named, partition } = this
    if (at < 0) return { partition, offset: 0, start: 0, length: 0, spanCount: 0 }
    return {
      partition,
      offset: named.offset[at] as number,
      start: named.start[at] as number,
      length: named.byteLength[at] as number,
      spanCount: named.spanCount[at] as number,
    }
  }

  problem(problem: ProblemKind, at: number, spans: number, detail: string): Problem {
    const { tenant, traceId } = this.head
    const decision = { partition: this.partition, offset: this.offset }
    const ref = this.refAt(at)
    return { problem, tenant, traceId, ref, decision, spans: Math.max(1, spans), detail }
  }
}
