// Hot: every slice finds its trace here.
import type { OpenTrace } from './open-trace.ts'
import { hashOfTrace, isSameTrace, type TraceKey } from './trace-key.ts'

const firstSlots = 256

/**
 * The open traces of one partition, by tenant and trace id, and in the order in which they opened. Open
 * addressing over the traces themselves: a Map would want a string for each slice.
 *
 *   slots    │   │ trace │ trace │   │ …    at most half in use, each as near behind its hash as can be
 *   opened   trace, (closed), trace, …      what has closed is left out now and then
 */
export class TraceMap {
  size = 0
  #slots: (OpenTrace | undefined)[] = emptySlots(firstSlots)
  #opened: OpenTrace[] = []
  /** Everything before it has closed. */
  #oldest = 0

  find(key: TraceKey): OpenTrace | undefined {
    const mask = this.#slots.length - 1
    for (let slot = hashOfTrace(key) & mask; ; slot = (slot + 1) & mask) {
      const trace = this.#slots[slot]
      if (trace === undefined || isSameTrace(trace, key)) return trace
    }
  }

  /** A trace that is open and not in the map. */
  add(trace: OpenTrace): void {
    if (2 * (this.size + 1) > this.#slots.length) this.#resize(2 * this.#slots.length)
    this.#slots[this.#freeSlotOf(trace)] = trace
    this.#opened.push(trace)
    this.size++
  }

  /** A trace of the map that has just closed. */
  delete(trace: OpenTrace): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = hashOfTrace(trace) & mask
    while (slots[hole] !== trace) hole = (hole + 1) & mask
    // What could not have its own place because of the deleted one moves up.
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const next = slots[slot]
      if (next === undefined) break
      const wanted = hashOfTrace(next) & mask
      if (((slot - wanted) & mask) < ((slot - hole) & mask)) continue
      slots[hole] = next
      hole = slot
    }
    slots[hole] = undefined
    this.size--
    if (this.#opened.length > 2 * this.size + firstSlots) this.#compact()
  }

  /** The one that opened first. */
  get oldest(): OpenTrace | undefined {
    while (this.#oldest < this.#opened.length) {
      const trace = this.#opened[this.#oldest] as OpenTrace
      if (trace.state !== 'closing') return trace
      this.#oldest++
    }
    return undefined
  }

  /** In the order in which they opened. */
  *values(): Iterable<OpenTrace> {
    for (let at = this.#oldest; at < this.#opened.length; at++) {
      const trace = this.#opened[at] as OpenTrace
      if (trace.state !== 'closing') yield trace
    }
  }

  /** Memory that a burst took goes back with it. */
  #compact(): void {
    this.#opened = this.#opened.filter(trace => trace.state !== 'closing')
    this.#oldest = 0
    if (8 * this.size < this.#slots.length && this.#slots.length > firstSlots) {
      this.#resize(this.#slots.length / 4)
    }
  }

  #resize(slots: number): void {
    const old = this.#slots
    this.#slots = emptySlots(slots)
    for (const trace of old) if (trace !== undefined) this.#slots[this.#freeSlotOf(trace)] = trace
  }

  #freeSlotOf(trace: OpenTrace): number {
    const mask = this.#slots.length - 1
    let slot = hashOfTrace(trace) & mask
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask
    return slot
  }
}

function emptySlots(count: number): (OpenTrace | undefined)[] {
  return new Array(count).fill(undefined)
}
