// Hot: one row for every attribute that the interest list wants.
import { grown } from './grown.ts'

/** What an AnyValue holds: the numbers of its fields in OTLP. */
export const valueType = {
  empty: 0,
  string: 1,
  bool: 2,
  int: 3,
  double: 4,
  array: 5,
  kvlist: 6,
  bytes: 7,
} as const

/**
 * The attributes that a scan was asked for. A hit is at least 6 bytes of the source, so their number
 * needs no limit beside that of the source. An attribute sent twice is two hits.
 */
export class AttributeHits {
  length = 0
  /** Index in the interest list. */
  key = new Uint16Array(firstRows)
  /** An `attributeLevel`. */
  level = new Uint8Array(firstRows)
  /** Row of the span (also for an event's attribute), of the resource, or of the scope. */
  owner = new Uint32Array(firstRows)
  /** A {@link valueType}. */
  type = new Uint8Array(firstRows)
  /** string, bytes: the text; array, kvlist: the message; else what an earlier row left. */
  start = new Uint32Array(firstRows)
  end = new Uint32Array(firstRows)
  /** int (rounded beyond 2^53), double, bool (0 or 1); else what an earlier row left. */
  number = new Float64Array(firstRows)
  /** The key as sent: with a prefix in the list it tells which. */
  keyStart = new Uint32Array(firstRows)
  keyEnd = new Uint32Array(firstRows)
  /** Of an event's attribute: which event of its span, counted from 1, and that event's name. Else 0, and no name. */
  event = new Uint32Array(firstRows)
  eventNameStart = new Uint32Array(firstRows)
  eventNameEnd = new Uint32Array(firstRows)
  /** Next hit of the same resource or scope, -1: none. Meaningless for a span's. */
  next = new Int32Array(firstRows)

  #capacity = firstRows

  open(key: number, level: number, owner: number, keyStart: number, keyEnd: number): number {
    const row = this.length
    if (row === this.#capacity) this.#grow()
    this.length = row + 1
    this.key[row] = key
    this.level[row] = level
    this.owner[row] = owner
    this.type[row] = valueType.empty
    this.keyStart[row] = keyStart
    this.keyEnd[row] = keyEnd
    this.event[row] = 0
    return row
  }

  #grow(): void {
    this.#capacity *= 2
    this.key = grown(this.key, this.#capacity)
    this.level = grown(this.level, this.#capacity)
    this.owner = grown(this.owner, this.#capacity)
    this.type = grown(this.type, this.#capacity)
    this.start = grown(this.start, this.#capacity)
    this.end = grown(this.end, this.#capacity)
    this.number = grown(this.number, this.#capacity)
    this.keyStart = grown(this.keyStart, this.#capacity)
    this.keyEnd = grown(this.keyEnd, this.#capacity)
    this.event = grown(this.event, this.#capacity)
    this.eventNameStart = grown(this.eventNameStart, this.#capacity)
    this.eventNameEnd = grown(this.eventNameEnd, this.#capacity)
    this.next = grown(this.next, this.#capacity)
  }
}

const firstRows = 256
