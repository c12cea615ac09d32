/**
 * Who has to be looked at when: a binary heap of (time, item). An item whose time moved is pushed
 * again; whoever pops decides whether an entry is stale.
 */
export class Schedule<T> {
  readonly #times: number[] = []
  readonly #items: T[] = []

  get size(): number {
    return this.#times.length
  }

  /** Infinity when there is none. */
  get nextAtMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY
  }

  push(atMs: number, item: T): void {
    let child = this.#times.length
    this.#times.push(atMs)
    this.#items.push(item)
    while (child > 0) {
      const parent = (child - 1) >> 1
      if ((this.#times[parent] as number) <= atMs) break
      this.#move(parent, child)
      child = parent
    }
    this.#times[child] = atMs
    this.#items[child] = item
  }

  /** Removes and returns the earliest entry; there has to be one. */
  pop(): { readonly atMs: number; readonly item: T } {
    const first = { atMs: this.#times[0] as number, item: this.#items[0] as T }
    const atMs = this.#times.pop() as number
    const item = this.#items.pop() as T
    if (this.#times.length > 0) this.#sink(atMs, item)
    return first
  }

  #sink(atMs: number, item: T): void {
    let parent = 0
    for (let child = 1; child < this.#times.length; child = 2 * parent + 1) {
      const right = this.#times[child + 1]
      if (right !== undefined && right < (this.#times[child] as number)) child++
      if ((this.#times[child] as number) >= atMs) break
      this.#move(child, parent)
      parent = child
    }
    this.#times[parent] = atMs
    this.#items[parent] = item
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number
    this.#items[to] = this.#items[from] as T
  }
}
