import type { ColdKeys } from './cold-keys.ts'
import { coldKeyBytes } from './hash.ts'

/** Keys that end with the process, for tests. `random` gives that many fresh bytes. */
export class MemoryColdKeys implements ColdKeys {
  readonly #random: (bytes: number) => Uint8Array
  readonly #keys = new Map<string, Uint8Array>()

  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random
  }

  async key(tenant: string): Promise<Uint8Array> {
    const key = this.#keys.get(tenant) ?? this.#random(coldKeyBytes)
    this.#keys.set(tenant, key)
    return key
  }
}
