import type { Sums, TenantSums } from './tenant-sums.ts'

/** What retention passed undecided: a late decision takes it back. */
export class LostSlices {
  readonly #tenants: TenantSums
  readonly #lost = new Map<string, { readonly tenant: number; readonly spans: number }>()
  /** Offsets that retention passed before the assembler was known to have read them. */
  readonly #unread = new Set<number>()

  constructor(tenants: TenantSums) {
    this.#tenants = tenants
  }

  /** Records that retention passed unread: their spans are unknown, each counts as one. */
  get unreadRecords(): number {
    return this.#unread.size
  }

  add(tenant: number, offset: number, start: number, spans: number): void {
    this.#tenants.of(tenant).lostToRetention += spans
    if (this.#lost.size < lostMax) this.#lost.set(`${offset}:${start}`, { tenant, spans })
  }

  /** Nobody has read [from, to): retention passed it. Decisions that name one of its records take that back. */
  passUnread(from: number, to: number): void {
    for (let offset = from; offset < to && this.#unread.size < unreadMax; offset++) {
      this.#unread.add(offset)
    }
  }

  takeBack(offset: number, start: number): void {
    this.#unread.delete(offset)
    if (this.#lost.size === 0) return
    const key = `${offset}:${start}`
    const lost = this.#lost.get(key)
    if (lost === undefined) return
    this.#lost.delete(key)
    const sums: Sums = this.#tenants.of(lost.tenant)
    sums.lostToRetention -= lost.spans
    sums.received -= lost.spans
  }
}

/** Slices that retention passed undecided, remembered one by one; beyond them they only count. */
const lostMax = 10_000

/** Records that retention passed unread, likewise. */
const unreadMax = 1_000_000
