/** Most recently used values up to a sum of weights; what was used longest ago goes first. */
export class Lru<V> {
  readonly #weightMax: number
  readonly #values = new Map<string, { readonly value: V; readonly weight: number }>()
  #weight = 0

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  get(key: string): V | undefined {
    const found = this.#values.get(key)
    if (found === undefined) return undefined
    this.#values.delete(key)
    this.#values.set(key, found)
    return found.value
  }

  set(key: string, value: V, weight: number): void {
    this.#weight -= this.#values.get(key)?.weight ?? 0
    this.#values.delete(key)
    if (weight > this.#weightMax) return
    this.#values.set(key, { value, weight })
    this.#weight += weight
    for (const [oldest, { weight: freed }] of this.#values) {
      if (this.#weight <= this.#weightMax) return
      this.#values.delete(oldest)
      this.#weight -= freed
    }
  }
}
