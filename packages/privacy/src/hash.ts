import { hash } from 'node:crypto'
import { Lru, PipelineError } from '@winnow/runtime'
import type { ColdKeys } from './cold-keys.ts'

/** Bytes of a tenant's cold key. */
export const coldKeyBytes = 32

/** Keys of one tenant, retired ones among them. */
export const coldKeysMax = 16

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

interface Held {
  readonly keys: readonly Uint8Array[]
  readonly hashers: readonly ColdHasher[]
}

/**
 * The hashers of each tenant, one a key. The keys are read again each time they are asked for - once a segment, or a
 * look-up -, so that one that was rotated or destroyed is used no longer by a process that runs.
 */
export class ColdHashers {
  readonly #keys: ColdKeys
  readonly #onNotRenewed: ((tenant: string, error: unknown) => void) | undefined
  readonly #held = new Lru<Held>(coldHashersMax)

  /** `onNotRenewed` is told of keys that cannot be read *again*: those of before go on. */
  constructor(keys: ColdKeys, onNotRenewed?: (tenant: string, error: unknown) => void) {
    this.#keys = keys
    this.#onNotRenewed = onNotRenewed
  }

  /** Of the current key. Rejects as `ColdKeys.keys` does where none is known; the next call asks again. */
  async of(tenant: string): Promise<ColdHasher> {
    return (await this.all(tenant)).at(-1) as ColdHasher
  }

  /** Of every key, the current one last: what stands in cold may be hashed with any of them. */
  async all(tenant: string): Promise<readonly ColdHasher[]> {
    const keys = await this.#read(tenant)
    // After the wait: another call may have brought it.
    const held = this.#held.get(tenant)
    if (held !== undefined && areSame(held.keys, keys)) return held.hashers
    const hashers = keys.map(key => {
      const at = held?.keys.findIndex(one => Buffer.compare(one, key) === 0) ?? -1
      return held?.hashers[at] ?? new ColdHasher(key)
    })
    this.#held.set(tenant, { keys, hashers }, 1)
    return hashers
  }

  async #read(tenant: string): Promise<readonly Uint8Array[]> {
    try {
      return await this.#keys.keys(tenant)
    } catch (error) {
      const held = this.#held.get(tenant)
      if (held === undefined) throw error
      this.#onNotRenewed?.(tenant, error)
      return held.keys
    }
  }
}

function areSame(some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean {
  return (
    some.length === others.length &&
    some.every((key, at) => Buffer.compare(key, others[at] as Uint8Array) === 0)
  )
}

/**
 * Names a cold key of a tenant, and tells nothing of it: the token of a text that stands in no span. Two processes
 * with the same key call it the same.
 */
export function coldKeyCheck(hasher: ColdHasher): string {
  return hasher.token('winnow\0key check')
}
