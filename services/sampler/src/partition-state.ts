import {
  type Claim,
  type CountingState,
  countingStart,
  countRecord,
  type DecisionHead,
  startOfCounting,
} from '@winnow/model'
import { Awaiting, type AwaitingEntry } from './awaiting.ts'
import { CeilingSpend, type CeilingSpendEntry } from './ceiling-spend.ts'
import type { SamplerConfig } from './config.ts'
import { type IndexEntry, IndexTable, type KeyedIndexEntry } from './index-table.ts'
import { type SpendEntry, VariantSpend } from './variant-spend.ts'

/** What a snapshot of the state holds beside the entries of its index. JSON. */
export interface PartitionHead {
  readonly nextOffset: number
  readonly counting: CountingState
  readonly decidedAtMs: number
  readonly awaiting: readonly AwaitingEntry[]
  readonly spend: readonly SpendEntry[]
  readonly ceilings: readonly CeilingSpendEntry[]
}

/** What of a decision the fold takes. */
type FoldedDecision = Pick<
  DecisionHead,
  | 'kind'
  | 'claim'
  | 'seq'
  | 'tenant'
  | 'traceId'
  | 'revision'
  | 'verdict'
  | 'rules'
  | 'decidedAtMs'
  | 'experiment'
  | 'variant'
  | 'sliceCount'
  | 'fingerprint'
>

/**
 * All that a sampler knows of one partition of `decisions`: a fold of its counting records and of
 * nothing else (protocol D, Sampler), whoever folded them. So it may be kept or stored, and taken up
 * by whoever has the partition next; what is still in flight lies beside it.
 */
export class PartitionState {
  readonly awaiting: Awaiting
  readonly spend = new VariantSpend()
  readonly ceilings = new CeilingSpend()
  readonly #index: IndexTable
  #nextOffset = 0
  #decidedAtMs = 0
  #counting: CountingState = countingStart

  constructor(config: SamplerConfig, seed: number) {
    this.awaiting = new Awaiting({ countMax: config.awaitingMax, lifeMs: config.awaitingLife })
    const { indexTracesMax: tracesMax, indexLife: lifeMs } = config
    this.#index = new IndexTable({ tracesMax, lifeMs, seed })
  }

  /** The next offset of `decisions` to fold. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Log time as far as the decisions folded tell it. */
  get decidedAtMs(): number {
    return this.#decidedAtMs
  }

  get traces(): number {
    return this.#index.size
  }

  get head(): PartitionHead {
    return {
      nextOffset: this.#nextOffset,
      counting: this.#counting,
      decidedAtMs: this.#decidedAtMs,
      awaiting: [...this.awaiting.entries()],
      spend: [...this.spend.entries()],
      ceilings: [...this.ceilings.entries()],
    }
  }

  /** Every trace of the index; may be read while more is folded, and then has some of that too. */
  entries(): Iterable<KeyedIndexEntry> {
    return this.#index
  }

  find(tenant: string, traceId: string): IndexEntry | undefined {
    return this.#index.get(tenant, traceId)
  }

  /** Takes up a snapshot; only a state that has folded nothing may. */
  load(head: PartitionHead): void {
    this.#nextOffset = head.nextOffset
    this.#counting = head.counting
    this.#decidedAtMs = head.decidedAtMs
    this.awaiting.load(head.awaiting)
    this.spend.load(head.spend)
    this.ceilings.load(head.ceilings)
  }

  /** One from behind `nextOffset` does no harm: what lies there is folded again before it is used. */
  loadEntry(entry: KeyedIndexEntry): void {
    this.#index.setById(entry.tenant, entry.id, entry)
  }

  /**
   * Goes on at `offset`, to which retention has come, or which is the first there is. `records`: the
   * first ones from there on.
   */
  skipTo(offset: number, records: Iterable<Claim | DecisionHead>): void {
    this.#nextOffset = offset
    this.#counting = startOfCounting(records)
  }

  /** Folds the record at `offset`; what is no record counts for nobody. True when it counts. */
  apply(offset: number, record: Claim | FoldedDecision | undefined): boolean {
    this.#nextOffset = offset + 1
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
    this.#decidedAtMs = Math.max(this.#decidedAtMs, decidedAtMs)
    this.awaiting.note(record)
    this.spend.add(record)
    this.ceilings.add(record)
    return true
  }
}
