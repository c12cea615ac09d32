import { hash } from 'node:crypto'
import { PipelineError } from '@winnow/runtime'
import type { ColdKeys } from './cold-keys.ts'

/** Bytes of a tenant's cold key. */
export const coldKeyBytes = 32

/** Half of it may be of the generation before, so this bounds what a hasher remembers. */
export const hasherMemoMax = 8_192

/** Longer strings are hashed each time: remembering them would cost more than it saves. */
export const hasherMemoTextLengthMax = 256

/** Tenants whose hashers a process keeps at once; the longest unused goes first. */
export const coldHashersMax = 1_024

const tokenDigits = 16

/**
 * Turns the strings of one tenant into tokens `h_<16 base64url digits>`: 96 bits of
 * SHA3-256(key in hex ‖ text).
 *
 * Putting the key in front is sound for SHA-3, whose sponge keeps half its state to itself (KMAC is
 * built the same way); with SHA-2 a reader could extend a token. It takes 0.7 µs a string, where
 * `createHmac` takes 11. Equal strings give equal tokens whatever key or span they stand under, so
 * rows still join; two tenants' tokens never do. 96 bits: among 10^9 distinct strings two share a
 * token with a chance of 10^-11.
 */
export class ColdHasher {
  readonly #key: string
  #young = new Map<string, string>()
  #old = new Map<string, string>()

  constructor(key: Uint8Array) {
    if (key.length !== coldKeyBytes) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `a cold key has ${coldKeyBytes} bytes, not ${key.length}`,
      )
    }
    this.#key = Buffer.from(key).toString('hex')
  }

  token(text: string): string {
    if (text.length > hasherMemoTextLengthMax) return this.#hash(text)
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const token = this.#old.get(text) ?? this.#hash(text)
    if (this.#young.size >= hasherMemoMax / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, token)
    return token
  }

  #hash(text: string): string {
    return `h_${hash('sha3-256', this.#key + text, 'base64url').slice(0, tokenDigits)}`
  }
}

/** One hasher a tenant, its key read or made on first use. */
export class ColdHashers {
  readonly #keys: ColdKeys
  readonly #hashers = new Map<string, Promise<ColdHasher>>()

  constructor(keys: ColdKeys) {
    this.#keys = keys
  }

  /** Rejects as `ColdKeys.key` does; the next call asks again. */
  of(tenant: string): Promise<ColdHasher> {
    const hasher =
      this.#hashers.get(tenant) ?? this.#keys.key(tenant).then(key => new ColdHasher(key))
    this.#hashers.delete(tenant)
    this.#hashers.set(tenant, hasher)
    hasher.catch(() => this.#hashers.delete(tenant))
    for (const oldest of this.#hashers.keys()) {
      if (this.#hashers.size <= coldHashersMax) break
      this.#hashers.delete(oldest)
    }
    return hasher
  }
}
