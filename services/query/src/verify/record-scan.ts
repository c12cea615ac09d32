// Hot: every record of `spans` that is looked at byte by byte passes here.
import type { TenantRun } from '@winnow/model'
import { SliceIds, scanSlices } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import type { TenantSums } from './tenant-sums.ts'

/** The slices of one record of `spans` at a time, with their tenants. */
export class RecordScan {
  /** Valid until the next record is read; none of one that cannot be read. */
  readonly slices = new SliceIds()
  /** By slice, as `tenants` numbers them. */
  readonly tenantOf: number[] = []
  readonly #tenants: TenantSums

  constructor(tenants: TenantSums) {
    this.#tenants = tenants
  }

  /** Returns why the record cannot be read; undefined: its slices are there. */
  read(value: Uint8Array, runs: readonly TenantRun[] | undefined): string | undefined {
    this.slices.clear()
    const problem = this.#problemOf(value, runs)
    if (problem !== undefined) this.slices.clear()
    return problem
  }

  #problemOf(value: Uint8Array, runs: readonly TenantRun[] | undefined): string | undefined {
    if (runs === undefined) return 'a record of spans has no header with tenants’ runs'
    try {
      for (const { tenant, start, length } of runs) {
        if (start < 0 || length < 0 || start + length > value.length) {
          return 'a tenant’s run lies outside of its record'
        }
        const from = this.slices.slices
        scanSlices(value, start, start + length, this.slices)
        const number = this.#tenants.numberOf(tenant)
        for (let at = from; at < this.slices.slices; at++) this.tenantOf[at] = number
      }
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return error.message
    }
    return undefined
  }
}
