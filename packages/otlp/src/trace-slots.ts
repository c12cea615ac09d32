// Hot: asked once for every span whose predecessor was of another trace.
import { grown } from './grown.ts'
import type { SpanTable } from './span-table.ts'

/**
 * (tenant, trace id) → the slice being filled, by open addressing. Keys are not stored: a slot holds
 * a slice, the slice names a row, and the row has the id.
 */
export class TraceSlots {
  readonly #table: SpanTable
  /** Not known to senders, or they could choose ids that all meet in one slot. */
  readonly #seed: number
  /** 0: empty, else slice + 1. */
  #slots = new Uint32Array(1024)
  #used = 0
  /** By slice: its key. */
  #rows = new Uint32Array(512)
  #tenants = new Uint32Array(512)

  constructor(table: SpanTable, seed: number) {
    this.#table = table
    this.#seed = seed
  }

  clear(): void {
    this.#slots.fill(0)
    this.#used = 0
  }

  /** The slice of this row's trace, or -1. */
  find(row: number, tenant: number): number {
    return (this.#slots[this.#slotOf(row, tenant)] as number) - 1
  }

  /** From here on `slice`, whose first row is `row`, is the slice of its trace. */
  set(row: number, tenant: number, slice: number): void {
    if (slice >= this.#rows.length) {
      this.#rows = grown(this.#rows, slice * 2)
      this.#tenants = grown(this.#tenants, slice * 2)
    }
    if ((this.#used + 1) * 2 > this.#slots.length) this.#rehash()
    this.#rows[slice] = row
    this.#tenants[slice] = tenant
    const slot = this.#slotOf(row, tenant)
    if (this.#slots[slot] === 0) this.#used++
    this.#slots[slot] = slice + 1
  }

  /** Where this trace is, or the empty slot where it belongs: at most half are in use. */
  #slotOf(row: number, tenant: number): number {
    const table = this.#table
    const slots = this.#slots
    const mask = slots.length - 1
    const a = table.trace0[row] as number
    const b = table.trace1[row] as number
    const c = table.trace2[row] as number
    const d = table.trace3[row] as number
    let slot = mix(mix(mix(mix(mix(this.#seed, d), c), b), a), tenant) & mask
    for (;;) {
      const slice = (slots[slot] as number) - 1
      if (slice < 0) return slot
      const known = this.#rows[slice] as number
      if (
        table.trace3[known] === d &&
        table.trace2[known] === c &&
        table.trace1[known] === b &&
        table.trace0[known] === a &&
        this.#tenants[slice] === tenant
      ) {
        return slot
      }
      slot = (slot + 1) & mask
    }
  }

  #rehash(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    for (const entry of old) {
      if (entry === 0) continue
      const slice = entry - 1
      const row = this.#rows[slice] as number
      this.#slots[this.#slotOf(row, this.#tenants[slice] as number)] = entry
    }
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}
