/**
 * Most recently used values up to a sum of weights, bytes mostly; what was used longest ago goes first. A
 * value that is heavier than all of it is not held.
 */
export class Lru<V, K = string> {
  readonly #weightMax: number
  readonly #values = new Map<K, { readonly value: V; readonly weight: number }>()
  #weight = 0

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  /** Of all values held. */
  get weight(): number {
    return this.#weight
  }

  get(key: K): V | undefined {
    const found = this.#values.get(key)
    if (found === undefined) return undefined
    this.#values.delete(key)
    this.#values.set(key, found)
    return found.value
  }

  /** As `get`, and forgets it. */
  take(key: K): V | undefined {
    const found = this.#values.get(key)
    if (found === undefined) return undefined
    this.#values.delete(key)
    this.#weight -= found.weight
    return found.value
  }

  set(key: K, value: V, weight: number): void {
    this.take(key)
    if (weight > this.#weightMax) return
    this.#values.set(key, { value, weight })
    this.#weight += weight
    // Not begun where nothing has to go: an iterator first passes every entry that was taken out.
    if (this.#weight <= this.#weightMax) return
    for (const [oldest, { weight: freed }] of this.#values) {
      this.#values.delete(oldest)
      this.#weight -= freed
      if (this.#weight <= this.#weightMax) return
    }
  }

  clear(): void {
    this.#values.clear()
    this.#weight = 0
  }
}
