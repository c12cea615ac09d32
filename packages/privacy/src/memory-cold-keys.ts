import type { ColdKeys } from './cold-keys.ts'
import { coldKeyBytes } from './hash.ts'

/** Keys that end with the process, for tests. `random` gives that many fresh bytes. */
export class MemoryColdKeys implements ColdKeys {
  readonly #random: (bytes: number) => Uint8Array
  readonly #keys = new Map<string, readonly Uint8Array[]>()

  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random
  }

  async keys(tenant: string): Promise<readonly Uint8Array[]> {
    const keys = this.#keys.get(tenant) ?? [this.#random(coldKeyBytes)]
    this.#keys.set(tenant, keys)
    return keys
  }
}
