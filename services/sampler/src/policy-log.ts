import type { BusRecord } from '@winnow/bus'
import { type Policy, policyOfRecord } from './policy-file.ts'
import {
  entryClass,
  type PolicyEntry,
  type PolicyTextRecord,
  policyKeyPrefix,
  readPolicyRecord,
  spareTextsMax,
} from './policy-record.ts'

/** An entry of the history, and where it lies in `control`. */
export interface AppliedPolicy extends PolicyEntry {
  readonly offset: number
}

/** A policy that is used, with the entry that says so. */
export interface PolicyInForce extends AppliedPolicy {
  readonly version: string
  readonly policy: Policy
}

export interface PolicyState {
  readonly inForce: PolicyInForce | undefined
  readonly shadow: PolicyInForce | undefined
  /** The last entry that says whether there is a shadow, also where it says that there is none. */
  readonly shadowEntry: AppliedPolicy | undefined
  /** The newest entry of either kind that cannot be used, one line: the ones before it stay. */
  readonly broken: string | undefined
}

interface Unreadable {
  readonly kind: 'unreadable'
  readonly offset: number
  readonly mistake: string
}

/**
 * The policies of `control` as a fold of its records in their order: every process that has read as far
 * has the same one in force. What others keep in `control` under keys of their own is passed over.
 */
export class PolicyLog {
  /** By key, in the order of their last records. */
  readonly #entries = new Map<string, AppliedPolicy | Unreadable>()
  readonly #texts = new Map<string, PolicyTextRecord>()
  readonly #policies = new Map<string, Policy | string>()
  #isTidy = true

  /** True where one of the records was a policy's. */
  apply(records: readonly BusRecord[]): boolean {
    let isChanged = false
    for (const { key, value, offset } of records) {
      const name = key === undefined ? '' : Buffer.from(key).toString()
      if (!name.startsWith(policyKeyPrefix)) continue
      isChanged = true
      this.#isTidy = false
      this.#applyOne(name, value, offset)
    }
    return isChanged
  }

  #applyOne(key: string, value: Uint8Array, offset: number): void {
    const read = readPolicyRecord(value)
    if (typeof read === 'object' && read.kind === 'policy') {
      this.#texts.delete(read.version)
      this.#texts.set(read.version, read)
      this.#policies.delete(read.version)
      return
    }
    this.#entries.delete(key)
    const entry =
      typeof read === 'object'
        ? { ...read, offset }
        : ({ kind: 'unreadable', mistake: read, offset } as const)
    this.#entries.set(key, entry)
  }

  /**
   * Lets go of texts that no entry names. For the end of `control` alone: before it the entry may be yet
   * to come, as compaction leaves texts where they were first said.
   */
  tidy(): void {
    if (this.#isTidy) return
    this.#isTidy = true
    const named = new Set(this.history.map(({ version }) => version))
    const spare = [...this.#texts.keys()].filter(version => !named.has(version))
    for (const version of spare.slice(0, -spareTextsMax)) this.#texts.delete(version)
    for (const version of this.#policies.keys()) {
      if (!named.has(version) && !this.#texts.has(version)) this.#policies.delete(version)
    }
  }

  /** False: the text has to be said with the next entry, as there is none or others may have let go of it. */
  hasText(version: string): boolean {
    return this.#texts.has(version) && this.history.some(entry => entry.version === version)
  }

  /** What is in force after all that was applied. */
  get state(): PolicyState {
    const live = new Slot()
    const shadow = new Slot()
    for (const entry of this.#entries.values()) {
      if (entry.kind === 'unreadable') {
        live.broken = `control holds no policy at offset ${entry.offset}: ${entry.mistake}`
        continue
      }
      const slot = entry.kind === 'policy-shadow' ? shadow : live
      slot.take(entry, entry.version === null ? undefined : this.policy(entry.version))
    }
    return {
      inForce: live.used,
      shadow: shadow.used,
      shadowEntry: shadow.entry,
      broken: live.broken ?? shadow.broken,
    }
  }

  /** The policies that decided, and those beside them, as far as the history goes; the oldest first. */
  get decided(): readonly {
    readonly atMs: number
    readonly policy: Policy
    readonly shadow: Policy | undefined
  }[] {
    const [live, shadow] = [new Slot(), new Slot()]
    const decided: { atMs: number; policy: Policy; shadow: Policy | undefined }[] = []
    for (const entry of this.history) {
      const slot = entry.kind === 'policy-shadow' ? shadow : live
      slot.take(entry, entry.version === null ? undefined : this.policy(entry.version))
      const { used } = live
      if (used === undefined) continue
      decided.push({ atMs: entry.atMs, policy: used.policy, shadow: shadow.used?.policy })
    }
    return decided
  }

  /** What stands behind a version, or why it cannot be used. */
  policy(version: string): Policy | string {
    const known = this.#policies.get(version)
    if (known !== undefined) return known
    const text = this.#texts.get(version)
    const found = text === undefined ? 'its rules are not in control' : policyOfRecord(text)
    this.#policies.set(version, found)
    return found
  }

  /** As it was written into `control`, whether or not it can be used. */
  text(version: string): PolicyTextRecord | undefined {
    return this.#texts.get(version)
  }

  get versions(): readonly string[] {
    return [...this.#texts.keys()]
  }

  /** In the order in which they were said. */
  get history(): readonly AppliedPolicy[] {
    return [...this.#entries.values()].filter(entry => entry.kind !== 'unreadable')
  }

  /** The next entry's of this class. */
  nextNumber(said: Pick<PolicyEntry, 'kind' | 'source'>): number {
    const of = entryClass(said)
    let last = 0
    for (const entry of this.history) if (entryClass(entry) === of) last = Math.max(last, entry.n)
    return last + 1
  }
}

/** One of the two places that a policy may have: in force, or in the shadow. */
class Slot {
  used: PolicyInForce | undefined
  entry: AppliedPolicy | undefined
  broken: string | undefined

  take(entry: AppliedPolicy, found: Policy | string | undefined): void {
    if (entry.source === 'released') {
      this.#release(entry, found)
      return
    }
    if (entry.source === 'file' && this.entry?.source === 'api') return
    if (typeof found === 'string') {
      this.broken = `policy ${entry.version} cannot be used: ${found}`
      return
    }
    this.broken = undefined
    this.entry = entry
    this.used = found && { ...entry, version: found.version, policy: found }
  }
  #release(entry: AppliedPolicy, found: Policy | string | undefined): void {
    this.broken = undefined
    const { of } = entry
    const isForgotten = of !== undefined && of > (this.entry?.offset ?? -1)
    if (isForgotten && typeof found !== 'string') {
      this.entry = { ...entry, offset: of, source: 'file' }
      this.used = found && { ...this.entry, version: found.version, policy: found }
      return
    }
    if (this.entry !== undefined) this.entry = { ...this.entry, source: 'file' }
    if (this.used !== undefined) this.used = { ...this.used, source: 'file' }
  }
}
