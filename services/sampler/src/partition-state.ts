import { type CountingState, countingStart, countRecord, type DecisionRecord } from '@winnow/model'
import { Awaiting } from './awaiting.ts'
import type { SamplerConfig } from './config.ts'
import { type IndexEntry, IndexTable } from './index-table.ts'
import { VariantSpend } from './variant-spend.ts'

/**
 * All that a sampler knows of one partition of `decisions`: a fold of its counting records and of
 * nothing else (protocol D, Sampler). Forgotten whole when the claim is lost.
 */
export class PartitionState {
  readonly awaiting: Awaiting
  readonly spend = new VariantSpend()
  /** The next offset of `decisions` to fold. */
  nextOffset = 0
  /** Log time as far as the decisions folded tell it. */
  decidedAtMs = 0
  readonly #index: IndexTable
  #counting: CountingState = countingStart

  constructor(config: SamplerConfig, seed: number) {
    this.awaiting = new Awaiting({ countMax: config.awaitingMax, lifeMs: config.awaitingLife })
    const { indexTracesMax: tracesMax, indexLife: lifeMs } = config
    this.#index = new IndexTable({ tracesMax, lifeMs, seed })
  }

  get traces(): number {
    return this.#index.size
  }

  find(tenant: string, traceId: string): IndexEntry | undefined {
    return this.#index.get(tenant, traceId)
  }

  /** Folds the record at `offset`; what is no record counts for nobody. True when it counts. */
  apply(offset: number, record: DecisionRecord | undefined): boolean {
    this.nextOffset = offset + 1
    if (record === undefined) return false
    const { counts, state } = countRecord(this.#counting, offset, record)
    this.#counting = state
    if (!counts || record.kind !== 'decision') return false
    const { decidedAtMs } = record
    this.#index.set(record.tenant, record.traceId, {
      offset,
      revision: record.revision,
      verdict: record.verdict,
      decidedAtMs,
      fingerprint: BigInt(`0x${record.fingerprint}`),
    })
    this.decidedAtMs = Math.max(this.decidedAtMs, decidedAtMs)
    this.awaiting.note(record)
    this.spend.add(record)
    return true
  }
}
