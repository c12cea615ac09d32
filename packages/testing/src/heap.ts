/**
 * A binary heap by time; of equal times the one pushed first comes first, so that equal input gives
 * equal order.
 */
export class TimeHeap<T> {
  readonly #entries: { readonly atMs: number; readonly seq: number; readonly value: T }[] = []
  #seq = 0

  push(atMs: number, value: T): void {
    const entries = this.#entries
    let at = entries.push({ atMs, seq: this.#seq++, value }) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Takes the earliest when it is due by `untilMs`; undefined when none is. */
  takeDue(untilMs: number): { readonly atMs: number; readonly value: T } | undefined {
    const entries = this.#entries
    const first = entries[0]
    if (first === undefined || first.atMs > untilMs) return undefined
    this.#swap(0, entries.length - 1)
    entries.pop()
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < entries.length && this.#before(child, least)) least = child
      }
      if (least === at) return first
      this.#swap(at, least)
      at = least
    }
  }

  #before(a: number, b: number): boolean {
    const left = this.#entries[a]
    const right = this.#entries[b]
    if (left === undefined || right === undefined) return false
    return left.atMs === right.atMs ? left.seq < right.seq : left.atMs < right.atMs
  }

  #swap(a: number, b: number): void {
    const left = this.#entries[a]
    const right = this.#entries[b]
    if (left === undefined || right === undefined) return
    this.#entries[a] = right
    this.#entries[b] = left
  }
}
