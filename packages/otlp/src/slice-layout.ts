import type { TenantRun } from '@winnow/model'
import { grown } from './grown.ts'

/**
 * What a composition has laid out: slices in the order of their bytes, and the records of the bus
 * that they fill. Reused; columns grow and never shrink.
 */
export class SliceLayout {
  slices = 0
  /** A row of the slice's first span in the scanned table: its trace id, its source. */
  row = new Uint32Array(firstRows)
  tenant = new Uint32Array(firstRows)
  /** Within the sink. */
  start = new Uint32Array(firstRows)
  byteLength = new Uint32Array(firstRows)
  spanCount = new Uint32Array(firstRows)

  records = 0
  recordPartition = new Uint32Array(firstRows)
  /** Within the sink; records follow one another without gap. */
  recordStart = new Uint32Array(firstRows)
  recordLength = new Uint32Array(firstRows)
  /** The record's slices are `sliceFrom[record] .. sliceTo[record]`, the last excluded. */
  sliceFrom = new Uint32Array(firstRows)
  sliceTo = new Uint32Array(firstRows)
  recordSpans = new Uint32Array(firstRows)

  clear(): void {
    this.slices = 0
    this.records = 0
  }

  openRecord(partition: number, start: number): number {
    const record = this.records++
    if (record === this.recordPartition.length) this.#growRecords()
    this.recordPartition[record] = partition
    this.recordStart[record] = start
    this.recordLength[record] = 0
    this.recordSpans[record] = 0
    this.sliceFrom[record] = this.slices
    this.sliceTo[record] = this.slices
    return record
  }

  addSlice(record: number, row: number, tenant: number, byteLength: number, spans: number): void {
    const slice = this.slices++
    if (slice === this.row.length) this.#growSlices()
    this.row[slice] = row
    this.tenant[slice] = tenant
    this.start[slice] = (this.recordStart[record] as number) + (this.recordLength[record] as number)
    this.byteLength[slice] = byteLength
    this.spanCount[slice] = spans
    this.recordLength[record] = (this.recordLength[record] as number) + byteLength
    this.recordSpans[record] = (this.recordSpans[record] as number) + spans
    this.sliceTo[record] = this.slices
  }

  #growSlices(): void {
    const capacity = this.row.length * 2
    this.row = grown(this.row, capacity)
    this.tenant = grown(this.tenant, capacity)
    this.start = grown(this.start, capacity)
    this.byteLength = grown(this.byteLength, capacity)
    this.spanCount = grown(this.spanCount, capacity)
  }

  #growRecords(): void {
    const capacity = this.recordPartition.length * 2
    this.recordPartition = grown(this.recordPartition, capacity)
    this.recordStart = grown(this.recordStart, capacity)
    this.recordLength = grown(this.recordLength, capacity)
    this.recordSpans = grown(this.recordSpans, capacity)
    this.sliceFrom = grown(this.sliceFrom, capacity)
    this.sliceTo = grown(this.sliceTo, capacity)
  }
}

/** The header of a record: its tenants' runs, positions within the record. */
export function tenantRunsOf(
  layout: SliceLayout,
  record: number,
  nameOf: (tenant: number) => string,
): TenantRun[] {
  const runs: TenantRun[] = []
  const origin = layout.recordStart[record] as number
  const to = layout.sliceTo[record] as number
  let slice = layout.sliceFrom[record] as number
  while (slice < to) {
    const tenant = layout.tenant[slice] as number
    const start = (layout.start[slice] as number) - origin
    let length = 0
    for (; slice < to && layout.tenant[slice] === tenant; slice++) {
      length += layout.byteLength[slice] as number
    }
    runs.push({ tenant: nameOf(tenant), start, length })
  }
  return runs
}

const firstRows = 256
