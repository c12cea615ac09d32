import type { DecisionHead } from '@winnow/model'

/** What the fold and the ledger look at of a decision. */
export interface DecisionFacts
  extends Pick<
    DecisionHead,
    | 'kind'
    | 'tenant'
    | 'traceId'
    | 'revision'
    | 'claim'
    | 'seq'
    | 'verdict'
    | 'primary'
    | 'lastSpanAtMs'
    | 'decidedAtMs'
    | 'spanCount'
    | 'duplicateSpans'
    | 'service'
    | 'operation'
    | 'variant'
    | 'durationMs'
    | 'sliceCount'
    | 'prev'
  > {
  /** The names of the rules that matched, each with a line's end: a few texts for all traces. */
  readonly matched: string
  readonly gone: boolean
  readonly seriesFrom: DecisionHead['seriesFrom']
}

export function factsOf(head: DecisionHead): DecisionFacts {
  let matched = ''
  for (const rule of head.rules) if (rule.matched) matched += `${rule.name}\n`
  return {
    kind: head.kind,
    tenant: head.tenant,
    traceId: head.traceId,
    revision: head.revision,
    claim: head.claim,
    seq: head.seq,
    verdict: head.verdict,
    primary: head.primary,
    matched,
    gone: head.gone === true,
    lastSpanAtMs: head.lastSpanAtMs,
    decidedAtMs: head.decidedAtMs,
    spanCount: head.spanCount,
    duplicateSpans: head.duplicateSpans,
    service: head.service,
    operation: head.operation,
    variant: head.variant,
    durationMs: head.durationMs,
    sliceCount: head.sliceCount,
    seriesFrom: head.seriesFrom,
    prev: head.prev,
  }
}
