// Hot: once a counting decision, and once a slice of it.
import type { DecisionFacts } from '../decision-facts.ts'
import { traceWords } from '../trace-words.ts'
import { SeriesTable, seriesKept } from './series-table.ts'
import type { TenantSums } from './tenant-sums.ts'

/** What the series of one partition account for, in the sums of their tenants. */
export class SeriesAccounts {
  readonly table: SeriesTable
  readonly tenants: TenantSums
  readonly #words = new Uint32Array(4)

  constructor(tenants: TenantSums, seed: number) {
    this.tenants = tenants
    this.table = new SeriesTable(seed)
  }

  /** The series that the decision is of; a new one where there is none of it. */
  seriesOf(head: DecisionFacts): number {
    const tenant = this.tenants.numberOf(head.tenant)
    const words = this.#words
    if (!traceWords(head.traceId, words)) words.fill(0)
    const origin = originOf(head)
    const known = this.table.find(words, tenant)
    const isSame = known >= 0 && head.revision > 1 && this.table.origin[known] === origin
    if (isSame) return known
    const series = this.table.open(words, tenant, head.verdict)
    this.table.origin[series] = origin
    return series
  }

  /** Adds (1) or takes back (-1) what the series says of its slices in the window. */
  account(series: number, sign: 1 | -1): void {
    const table = this.table
    const sums = this.tenants.of(table.tenant[series] as number)
    const spans = (table.spanCount[series] as number) - (table.outFresh[series] as number)
    if (table.verdict[series] === seriesKept) sums.kept += sign * spans
    else sums.dropped += sign * spans
    const repeats = (table.duplicateSpans[series] as number) - (table.outRepeats[series] as number)
    sums.duplicate += sign * repeats
  }

  /** A slice of the series is in the window. */
  addLive(series: number, spans: number): void {
    const { liveSlices, liveSpans } = this.table
    liveSlices[series] = (liveSlices[series] as number) + 1
    liveSpans[series] = (liveSpans[series] as number) + spans
  }

  /** It is no more. Whoever takes the last has to close the series. */
  takeLive(series: number, spans: number, fresh: number): void {
    const { liveSlices, liveSpans, liveFresh } = this.table
    liveSlices[series] = (liveSlices[series] as number) - 1
    liveSpans[series] = (liveSpans[series] as number) - spans
    liveFresh[series] = (liveFresh[series] as number) - fresh
  }

  hasLive(series: number): boolean {
    return this.table.liveSlices[series] !== 0
  }

  close(series: number): void {
    this.account(series, -1)
    this.table.close(series)
  }
}

/** A series that goes on with a trace repeats where the one before ended; 0: it is not such a one. */
function originOf({ seriesFrom }: DecisionFacts): number {
  if (seriesFrom === undefined) return 0
  return (Math.imul(seriesFrom.offset, 0x9e3779b1) ^ seriesFrom.start) >>> 0 || 1
}
