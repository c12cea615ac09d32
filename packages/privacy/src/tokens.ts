import { hash } from 'node:crypto'
import { PipelineError } from '@winnow/runtime'
import { tokenDigits, tokenOf } from './detect/token-shape.ts'

/** Bytes of a key, as it is kept. */
export const tokenKeyBytes = 32

/** Keys of one tenant, the retired ones among them: an id is one hexadecimal digit. */
export const tokenKeysMax = 16

/** Things whose tokens are remembered; half of them may be of the generation before. */
export const tokenMemoMax = 8_192
const memoCharsMax = 256

/** One of a tenant's keys. Tokens say its id, so that one can tell which key made them. */
export interface TokenKey {
  readonly id: number
  readonly bytes: Uint8Array
}

/**
 * Makes the tokens of one tenant: `<email:e_4f81a09c2b17>` is the word of its kind, one digit that names
 * the key, and 44 bits of SHA3-256(key in hex ‖ kind ‖ 0 ‖ thing). The same thing is the same token in every
 * span, whoever wrote it and however; two tenants' never are. Among a million things two share a token with a
 * chance of three in a hundred.
 */
export class Tokens {
  readonly #keys: readonly { readonly id: number; readonly hex: string }[]
  #young = new Map<string, string>()
  #old = new Map<string, string>()

  /** The last key makes what is new. */
  constructor(keys: readonly TokenKey[]) {
    for (const { id, bytes } of keys) {
      if (bytes.length === tokenKeyBytes && Number.isInteger(id) && id >= 0 && id < tokenKeysMax)
        continue
      throw new PipelineError(
        'CONFIG_INVALID',
        `token key ${id} has ${bytes.length} bytes; give ${tokenKeyBytes}, and an id of 0 to ${tokenKeysMax - 1}`,
      )
    }
    if (keys.length === 0 || new Set(keys.map(({ id }) => id)).size !== keys.length) {
      throw new PipelineError('CONFIG_INVALID', 'token keys: give at least one, and no id twice')
    }
    this.#keys = keys.map(({ id, bytes }) => ({ id, hex: Buffer.from(bytes).toString('hex') }))
  }

  token(kind: string, thing: string): string {
    const what = `${kind}\0${thing}`
    const young = this.#young.get(what)
    if (young !== undefined) return young
    const { id, hex } = this.#keys.at(-1) as { id: number; hex: string }
    const token = this.#old.get(what) ?? tokenOf(kind, id, digitsOf(hex, what))
    if (what.length > memoCharsMax) return token
    if (this.#young.size >= tokenMemoMax / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(what, token)
    return token
  }

  /** The tokens of a thing by all keys, the current one first: what to look for in what is stored. */
  tokensOf(kind: string, thing: string): string[] {
    const what = `${kind}\0${thing}`
    return this.#keys.map(({ id, hex }) => tokenOf(kind, id, digitsOf(hex, what))).toReversed()
  }
}

/** Tells whether two processes make tokens with the same key of a tenant, and nothing of it. */
export function tokenKeyCheck(of: Pick<Tokens, 'token'>): string {
  return of.token('key_check', 'winnow')
}

function digitsOf(hex: string, what: string): string {
  return hash('sha3-256', hex + what, 'hex').slice(0, tokenDigits - 1)
}
