import { type HealthPart, type Log, Lru, PipelineError } from '@winnow/runtime'
import type { Pattern } from './detect/pattern.ts'
import { Redactor } from './redactor.ts'
import type { TokenKeys } from './token-keys.ts'
import { type TokenKey, Tokens } from './tokens.ts'

/** Tenants whose redactors a process keeps at once; the longest unused goes first. */
export const redactorsMax = 1_024

/** A tenant's keys are read again so often: for so long after a rotation the key before is still used. */
export const keysReadEveryMs = 60_000

/** Tenants whose keys could not be read that one look at the health tries again. */
export const failedKeysReadMax = 16

/** What is done for a tenant. */
export interface RedactionSettings {
  readonly redact: boolean
  readonly kinds: readonly string[]
  readonly patterns: readonly Pattern[]
}

interface Held {
  readonly redactor: Redactor | undefined
  readonly keys: readonly TokenKey[]
  readAtMs: number
}

/** One redactor a tenant, its keys read or made on first use. */
export class Redactors {
  readonly #keys: TokenKeys
  readonly #settingsOf: (tenant: string) => RedactionSettings
  readonly #nowMs: () => number
  readonly #log: Log | undefined
  readonly #held = new Lru<Held>(redactorsMax)
  /** By tenant, why his keys could not be read when they were wanted last. */
  readonly #failed = new Map<string, string>()

  constructor(
    keys: TokenKeys,
    settingsOf: (tenant: string) => RedactionSettings,
    nowMs: () => number,
    log?: Log,
  ) {
    this.#keys = keys
    this.#settingsOf = settingsOf
    this.#nowMs = nowMs
    this.#log = log
  }

  /** What `of` would resolve with, where it is known already; the redactor is undefined where nothing is redacted. */
  known(tenant: string): { readonly redactor: Redactor | undefined } | undefined {
    const held = this.#held.get(tenant)
    if (held === undefined) return undefined
    const now = this.#nowMs()
    if (now - held.readAtMs >= keysReadEveryMs) {
      held.readAtMs = now
      // What cannot be read now was read before: the keys of then are still the tenant's, and the log says so.
      this.#read(tenant).catch(() => {})
    }
    return held
  }

  /**
   * Undefined where nothing is redacted. Whatever is wrong with the tenant's keys rejects as STORE_UNAVAILABLE:
   * what he sends is good, and may come again once somebody has mended them. The next call asks again.
   */
  async of(tenant: string): Promise<Redactor | undefined> {
    return (this.known(tenant) ?? (await this.#read(tenant))).redactor
  }

  /** Asks again for the keys that could not be read, so that it tells the truth of now. */
  async health(): Promise<HealthPart> {
    const failed = [...this.#failed.keys()]
    await Promise.allSettled(failed.slice(0, failedKeysReadMax).map(tenant => this.#read(tenant)))
    const [first] = this.#failed
    if (first === undefined) return { ready: true }
    const [name, why] = first
    const tenants = this.#failed.size === 1 ? name : `${name} and ${this.#failed.size - 1} more`
    const detail = `token keys of tenant ${tenants} cannot be read: ${why}`
    // Who has keys is served: only a process that can serve nobody is to be taken out.
    return { ready: this.#held.weight > 0, detail }
  }

  async #read(tenant: string): Promise<Held> {
    const { redact, kinds, patterns } = this.#settingsOf(tenant)
    const before = this.#held.get(tenant)
    const keys = redact ? await this.#keysOf(tenant, before !== undefined) : []
    const isNew = before === undefined || !areSame(before.keys, keys)
    const redactor = !redact
      ? undefined
      : isNew
        ? new Redactor(new Tokens(keys), { kinds, patterns })
        : before.redactor
    const held = { redactor, keys, readAtMs: this.#nowMs() }
    this.#held.set(tenant, held, 1)
    return held
  }

  async #keysOf(tenant: string, isHeld: boolean): Promise<readonly TokenKey[]> {
    try {
      const keys = await this.#keys.keys(tenant)
      // Refuses an id that stands there twice, which is as bad as a line that is no key.
      new Tokens(keys)
      this.#failed.delete(tenant)
      return keys
    } catch (error) {
      if (this.#failed.size < redactorsMax || this.#failed.has(tenant)) {
        this.#failed.set(tenant, error instanceof Error ? error.message : String(error))
      }
      const kind = isHeld ? 'redaction.keys_not_renewed' : 'redaction.keys_unreadable'
      this.#log?.error(kind, error, { tenant })
      throw new PipelineError(
        'STORE_UNAVAILABLE',
        `the keys that tenant ${tenant} is redacted with cannot be read: send again later; the log and /readyz of this service say what to do`,
        { cause: error },
      )
    }
  }
}

function areSame(some: readonly TokenKey[], others: readonly TokenKey[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ id, bytes }, at) => {
      const other = others[at] as TokenKey
      return other.id === id && Buffer.compare(bytes, other.bytes) === 0
    })
  )
}
