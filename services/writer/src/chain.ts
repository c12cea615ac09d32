import type { Bus } from '@winnow/bus'
import {
  type Decision,
  type DecisionHead,
  parseDecision,
  refKey,
  type SpanRef,
} from '@winnow/model'
import { type Log, PipelineError } from '@winnow/runtime'
import type { LoggedDecision } from '@winnow/storage'
import type { FoldedRecord } from './decisions-reader.ts'

/** The slices of the records that a decision's `prev` leads to, and the spans of those not found. */
export interface Chain {
  /** At most `seriesRefsMax`: their places alone, so all of them may be in memory. */
  readonly refs: readonly SpanRef[]
  /** Retention had passed a record, and with it the way to those before it. */
  readonly spansGone: number
  /** A record is none of this trace: its way leads nowhere. */
  readonly spansAside: number
}

export const noChain: Chain = { refs: [], spansGone: 0, spansAside: 0 }

/** Follows the chains of one topic of decisions. */
export class ChainReader {
  readonly #bus: Bus
  readonly #topic: string
  readonly #log: Log

  constructor(bus: Bus, decisions: string, log: Log) {
    this.#bus = bus
    this.#topic = decisions
    this.#log = log
  }

  /**
   * All slices of the chain where the decision has them written, whatever `write` of its records says:
   * nothing of them was written before. Rejects with what may pass, such as BUS_UNAVAILABLE.
   */
  async read(partition: number, { offset, logged }: FoldedRecord): Promise<Chain> {
    if (logged?.decision.writePrev !== true) return noChain
    const { decision } = logged
    const refs: SpanRef[] = []
    for (let at = offset, { prev } = decision; prev !== null; ) {
      const link = await this.#link(partition, at, prev, decision)
      if (typeof link === 'string') {
        const spans = spansMissing(logged, refs)
        return link === 'gone'
          ? { refs, spansGone: spans, spansAside: 0 }
          : { refs, spansGone: 0, spansAside: spans }
      }
      for (const { ref } of link.slices) refs.push(ref)
      at = prev
      prev = link.prev
    }
    return { refs, spansGone: 0, spansAside: 0 }
  }

  /** Each link lies before the one that names it, so that no chain is without end. */
  async #link(
    partition: number,
    from: number,
    prev: number,
    { tenant, traceId }: Pick<DecisionHead, 'tenant' | 'traceId'>,
  ): Promise<Decision | 'gone' | 'aside'> {
    let value: Uint8Array | undefined
    try {
      if (prev < from) value = (await this.#bus.fetch(this.#topic, partition, prev)).value
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'OFFSET_GONE') return 'gone'
      throw error
    }
    const parsed = value && parseDecision(Buffer.from(value).toString())
    if (parsed?.kind === 'newer') {
      throw new PipelineError(
        'DATA_CORRUPT',
        `decisions record ${prev} has format v ${parsed.v}: upgrade the writers first`,
      )
    }
    const link = parsed?.kind === 'record' ? parsed.record : undefined
    if (link?.kind === 'decision' && link.tenant === tenant && link.traceId === traceId) return link
    const broken = new PipelineError(
      'DATA_CORRUPT',
      'a decision’s `prev` leads to none of its trace',
    )
    this.#log.error('writer.chain_broken', broken, { partition, offset: from, prev, traceId })
    return 'aside'
  }
}

/** Spans of the series, repeats included, that lie in no slice that is known. */
function spansMissing({ decision, slices }: LoggedDecision, found: readonly SpanRef[]): number {
  const known = new Map(found.map(ref => [refKey(ref), ref.spanCount]))
  for (const { ref } of slices) known.set(refKey(ref), ref.spanCount)
  let spans = decision.spanCount + decision.duplicateSpans
  for (const count of known.values()) spans -= count
  return Math.max(0, spans)
}
