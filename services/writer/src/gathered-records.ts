// Hot: every record of `decisions` leaves a line here until its segment is written.

/** What a segment knows of one record beside its spans and its row in the ledger. */
export interface GatheredRecord {
  readonly offset: number
  readonly appendedAtMs: number
  /** The counting state after it. */
  readonly claim: number
  readonly next: number
  readonly readAtMs: number
  /** 1 where it counts and has a row in the ledger, else 0: so that a sum counts them. */
  readonly decisions: number
  readonly spansGone: number
  readonly spansAside: number
  /** Rows that are left out since their trace is erased. */
  readonly spansErased: number
  /** Memory of all that is held of it. */
  readonly bytes: number
}

const fields = 10
const decisionsField = 5
const readAtField = 4

type Summed = 'decisions' | 'spansGone' | 'spansAside' | 'spansErased' | 'bytes'
const summedFields: Readonly<Record<Summed, number>> = {
  decisions: decisionsField,
  spansGone: 6,
  spansAside: 7,
  bytes: 8,
  spansErased: 9,
}

/** Records that there is room for at first, and while there are none. */
const recordsMin = 1_024

/** Records by offset, as numbers side by side: objects that live for a minute are what scavenges move. */
export class GatheredRecords {
  #values = new Float64Array(fields * recordsMin)
  #count = 0

  get count(): number {
    return this.#count
  }

  push(record: GatheredRecord): void {
    const at = fields * this.#count++
    if (at === this.#values.length) {
      const larger = new Float64Array(2 * at)
      larger.set(this.#values)
      this.#values = larger
    }
    const values = this.#values
    values[at] = record.offset
    values[at + 1] = record.appendedAtMs
    values[at + 2] = record.claim
    values[at + 3] = record.next
    values[at + readAtField] = record.readAtMs
    values[at + decisionsField] = record.decisions
    values[at + 6] = record.spansGone
    values[at + 7] = record.spansAside
    values[at + 8] = record.bytes
    values[at + 9] = record.spansErased
  }

  at(n: number): GatheredRecord | undefined {
    if (n < 0 || n >= this.#count) return undefined
    const value = (field: number): number => this.#values[fields * n + field] as number
    return {
      offset: value(0),
      appendedAtMs: value(1),
      claim: value(2),
      next: value(3),
      readAtMs: value(readAtField),
      decisions: value(decisionsField),
      spansGone: value(6),
      spansAside: value(7),
      bytes: value(8),
      spansErased: value(9),
    }
  }

  /** Of the last; -1: there is none. */
  get lastOffset(): number {
    return this.#count === 0 ? -1 : (this.#values[fields * (this.#count - 1)] as number)
  }

  /** When the first that has a row in the ledger was read. */
  get decidedReadAtMs(): number | undefined {
    for (let n = 0; n < this.#count; n++) {
      if (this.#values[fields * n + decisionsField] === 1) {
        return this.#values[fields * n + readAtField]
      }
    }
    return undefined
  }

  /** How many lie at or before `offset`. */
  through(offset: number): number {
    let count = this.#count
    while (count > 0 && (this.#values[fields * (count - 1)] as number) > offset) count--
    return count
  }

  /** Of the first `count`. */
  sum(what: Summed, count: number): number {
    const field = summedFields[what]
    let sum = 0
    for (let n = 0; n < count; n++) sum += this.#values[fields * n + field] as number
    return sum
  }

  forgetFirst(count: number): void {
    this.#values.copyWithin(0, fields * count, fields * this.#count)
    this.#count -= count
    if (this.#count === 0) this.#values = new Float64Array(fields * recordsMin)
  }
}
