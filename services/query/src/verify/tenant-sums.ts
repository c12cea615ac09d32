import { PipelineError } from '@winnow/runtime'

/** Spans of one tenant in the window, by what became of them. */
export interface Sums {
  /** In slices that are retained, and in those that retention passed before they were decided. */
  received: number
  duplicate: number
  kept: number
  dropped: number
  /** In slices that two series account for. */
  doubled: number
  lostToRetention: number
}

/** Names of tenants as small numbers, with their sums over all partitions. */
export class TenantSums {
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []
  readonly #sums: Sums[] = []

  /** QUOTA_EXCEEDED over {@link tenantsMax}. */
  numberOf(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    if (this.#names.length === tenantsMax) {
      throw new PipelineError('QUOTA_EXCEEDED', `more than ${tenantsMax} tenants (tenantsMax)`)
    }
    const number = this.#names.push(name) - 1
    this.#numbers.set(name, number)
    this.#sums.push(noSums())
    return number
  }

  /** Undefined: never seen. */
  find(name: string): number | undefined {
    return this.#numbers.get(name)
  }

  nameOf(number: number): string {
    return this.#names[number] as string
  }

  of(number: number): Sums {
    return this.#sums[number] as Sums
  }

  total(): Sums {
    const total = noSums()
    for (const sums of this.#sums) {
      for (const name of Object.keys(total) as (keyof Sums)[]) total[name] += sums[name]
    }
    return total
  }
}

/** A slice remembers its tenant in two bytes. */
export const tenantsMax = 65_535

export function noSums(): Sums {
  return { received: 0, duplicate: 0, kept: 0, dropped: 0, doubled: 0, lostToRetention: 0 }
}
