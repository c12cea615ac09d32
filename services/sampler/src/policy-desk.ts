import type { Bus, NewRecord } from '@winnow/bus'
import { type Clock, PipelineError } from '@winnow/runtime'
import type { DecidedSince } from './backtest/recorded-facts.ts'
import { ControlReader, controlPartition } from './control-reader.ts'
import { jointMistake } from './policy-conditions.ts'
import { checkPolicy, type Policy } from './policy-file.ts'
import { type AppliedPolicy, PolicyLog, type PolicyState } from './policy-log.ts'
import {
  type PolicyEntry,
  policyAuthorBytesMax,
  policyEntryRecord,
  policyHistoryMax,
  policyMessageBytesMax,
  policyTextBytesMax,
  policyTextRecord,
} from './policy-record.ts'

/** Longest wait for `control` to take a policy; it may land later all the same, and the history shows it. */
export const policyWaitMaxMs = 5_000

export interface PolicyRequest {
  /** The file as it was written; or `version`, one that `control` has. Neither ends the shadow. */
  readonly text?: string
  readonly version?: string
  readonly author?: string
  /** Name of the key it was asked with, where that is not the author. */
  readonly key?: string
  readonly message?: string
  /** Evaluated beside the live one, never acted upon. */
  readonly shadow?: boolean
}

/** A policy that was said or is in force, as people are shown it. */
export interface ShownPolicy {
  readonly version: string | null
  readonly kind: 'live' | 'shadow'
  readonly source: AppliedPolicy['source']
  readonly at: string
  readonly author?: string
  /** Name of the key it was asked with, where that is not the author. */
  readonly key?: string
  readonly message?: string
  /** Where `control` says it. */
  readonly offset: number
}

export interface PoliciesShown {
  readonly inForce: (ShownPolicy & { readonly policy: ShownText }) | null
  readonly shadow: (ShownPolicy & { readonly policy: ShownText }) | null
  /** Why the newest one is not in force. */
  readonly broken?: string
}

export interface ShownText {
  readonly version: string
  readonly rules: readonly unknown[]
  readonly ceilings?: readonly unknown[]
  /** As a person wrote it, where one did. */
  readonly text?: string
}

export type PolicyAnswer =
  | { readonly kind: 'applied'; readonly applied: ShownPolicy; readonly before: string | null }
  /** Every mistake at once; nothing was applied. */
  | { readonly kind: 'mistakes'; readonly mistakes: readonly string[] }
  | { readonly kind: 'unknown'; readonly version: string }

/** Shows and changes the policies of a fleet, through `control` alone. */
export class PolicyDesk {
  readonly #bus: Bus
  readonly #control: string
  readonly #clock: Clock
  readonly #log = new PolicyLog()
  readonly #reader: ControlReader
  #lastTurn: Promise<unknown> = Promise.resolve()

  constructor(options: { readonly bus: Bus; readonly control: string; readonly clock: Clock }) {
    this.#bus = options.bus
    this.#control = options.control
    this.#clock = options.clock
    this.#reader = new ControlReader(options.bus, options.control, records => {
      this.#log.apply(records)
    })
  }

  async show(): Promise<PoliciesShown> {
    const { inForce, shadow, broken } = await this.#state()
    const shown = (entry: typeof inForce) =>
      entry === undefined ? null : { ...shownEntry(entry), policy: this.#textOf(entry.policy) }
    return {
      inForce: shown(inForce),
      shadow: shown(shadow),
      ...(broken !== undefined && { broken }),
    }
  }

  /** Undefined: no such version. A version may be given by its beginning, if only one begins so. */
  async text(version: string): Promise<ShownText | undefined> {
    await this.#state()
    const found = this.#find(version)
    const record = found === undefined ? undefined : this.#log.text(found)
    if (record === undefined) return undefined
    const { kind: _, ...shown } = record
    return shown
  }

  /** The policies that were in force, the oldest first, and what stands behind every version. */
  async decided(): Promise<{
    readonly inForce: readonly DecidedSince[]
    readonly known: (version: string) => Policy | undefined
  }> {
    await this.#state()
    const known = (version: string): Policy | undefined => {
      const found = this.#log.policy(version)
      return typeof found === 'string' ? undefined : found
    }
    return { inForce: this.#log.decided, known }
  }

  /** The newest first. */
  async history(): Promise<readonly ShownPolicy[]> {
    await this.#state()
    return this.#log.history.slice(-policyHistoryMax).map(shownEntry).reverse()
  }

  /** Resolves once `control` has it. Rejects with what may pass. */
  async apply(request: PolicyRequest): Promise<PolicyAnswer> {
    const mistakes = requestMistakes(request)
    if (mistakes.length > 0) return { kind: 'mistakes', mistakes }
    return this.#inTurn(async () => {
      await this.#state()
      const policy = this.#policyOf(request)
      if (policy !== null && 'kind' in policy) return policy
      const { text, author, key, message, shadow = false } = request
      const { inForce, shadow: inShadow } = this.#log.state
      const beside = (shadow ? inForce : inShadow)?.policy
      const isAlone = policy === null || beside === undefined
      const mistake = isAlone ? undefined : jointMistake([policy, beside])
      if (mistake !== undefined) return { kind: 'mistakes', mistakes: [mistake] }
      const records: NewRecord[] = []
      if (policy !== null && !this.#log.hasText(policy.version)) {
        records.push(policyTextRecord(policy, text ?? this.#log.text(policy.version)?.text))
      }
      const said: Said = {
        kind: shadow ? 'policy-shadow' : 'policy-in-force',
        version: policy?.version ?? null,
        source: 'api',
        ...(author !== undefined && { author }),
        ...(key !== undefined && { key }),
        ...(message !== undefined && { message }),
      }
      return this.#say(records, () => [said])
    })
  }

  /** What is in force stays, and the configuration files have the word again. */
  async release(request: Pick<PolicyRequest, 'author' | 'key' | 'message'>): Promise<PolicyAnswer> {
    const mistakes = requestMistakes(request, false)
    if (mistakes.length > 0) return { kind: 'mistakes', mistakes }
    const entry = { source: 'released', ...request } as const
    return this.#inTurn(async () => {
      await this.#state()
      return this.#say([], ({ inForce, shadowEntry }) => {
        const live: Said = {
          ...entry,
          kind: 'policy-in-force',
          version: inForce?.version ?? '',
          ...(inForce !== undefined && { of: inForce.offset }),
        }
        if (shadowEntry?.source !== 'api') return [live]
        const { version, offset: of } = shadowEntry
        return [{ ...entry, kind: 'policy-shadow', version, of }, live]
      })
    })
  }

  /** Changes of one desk are made one after another, each of what the one before left. */
  #inTurn(change: () => Promise<PolicyAnswer>): Promise<PolicyAnswer> {
    const turn = this.#lastTurn.then(change)
    this.#lastTurn = turn.catch(() => {})
    return turn
  }

  async #state(): Promise<PolicyState> {
    await this.#reader.readToEnd()
    this.#log.tidy()
    return this.#log.state
  }

  #find(version: string): string | undefined {
    const { versions } = this.#log
    if (versions.includes(version)) return version
    const found = versions.filter(one => one.startsWith(version))
    return found.length === 1 ? found[0] : undefined
  }

  /** Null: the request names none, which ends the shadow. */
  #policyOf({ text, version }: PolicyRequest): Policy | null | Exclude<PolicyAnswer, Applied> {
    if (text !== undefined) {
      const check = checkPolicy(text)
      return check.ok ? check.policy : { kind: 'mistakes', mistakes: check.mistakes }
    }
    if (version === undefined) return null
    const known = this.#find(version)
    if (known === undefined) return { kind: 'unknown', version }
    const found = this.#log.policy(known)
    return typeof found === 'string' ? { kind: 'mistakes', mistakes: [found] } : found
  }

  /**
   * Says them, the last one for the answer. Another desk may have taken their keys meanwhile, by saying
   * something under the same number: then they are said again, after it. One of two always stays.
   */
  async #say(
    records: readonly NewRecord[],
    saidOf: (state: PolicyState) => readonly Said[],
  ): Promise<PolicyAnswer> {
    for (;;) {
      const before = this.#log.state
      const atMs = this.#clock.nowMs()
      const entries = saidOf(before).map(one => ({ ...one, n: this.#log.nextNumber(one), atMs }))
      const all = [...records, ...entries.map(policyEntryRecord)]
      const end =
        all.length + (await inTime(this.#bus.append(this.#control, controlPartition, all)))
      await this.#reader.readToEnd()
      const stays = this.#log.history.filter(
        ({ offset }) => offset >= end - entries.length && offset < end,
      )
      const last = stays.at(-1)
      if (last === undefined || stays.length < entries.length) continue
      const slot = last.kind === 'policy-shadow' ? before.shadow : before.inForce
      return { kind: 'applied', applied: shownEntry(last), before: slot?.version ?? null }
    }
  }

  #textOf({ version, rules, ceilings }: Policy): ShownText {
    const text = this.#log.text(version)?.text
    return {
      version,
      rules,
      ...(ceilings !== undefined && { ceilings }),
      ...(text !== undefined && { text }),
    }
  }
}

type Said = Omit<PolicyEntry, 'n' | 'atMs'>
type Applied = Extract<PolicyAnswer, { kind: 'applied' }>

async function inTime<T>(append: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const message = `control has not taken the policy after ${policyWaitMaxMs} ms`
    late.reject(new PipelineError('BUS_UNAVAILABLE', message))
  }, policyWaitMaxMs)
  try {
    return await Promise.race([append, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function requestMistakes(
  { text, version, author, message, shadow }: PolicyRequest,
  isApply = true,
): string[] {
  const mistakes: string[] = []
  const atMost = (key: string, value: string | undefined, bytesMax: number): void => {
    if (value === undefined || Buffer.byteLength(value) <= bytesMax) return
    mistakes.push(`${key}: has ${Buffer.byteLength(value)} bytes; give at most ${bytesMax}`)
  }
  atMost('text', text, policyTextBytesMax)
  atMost('author', author, policyAuthorBytesMax)
  atMost('message', message, policyMessageBytesMax)
  if (text !== undefined && version !== undefined) {
    mistakes.push('text, version: give one of them')
  }
  if (text === undefined && version === undefined && shadow !== true && isApply) {
    mistakes.push('text: missing; give the policy file as it is, or a version of the history')
  }
  return mistakes
}

function shownEntry(entry: AppliedPolicy): ShownPolicy {
  const { version, kind, source, atMs, author, key, message, offset } = entry
  return {
    version,
    kind: kind === 'policy-shadow' ? 'shadow' : 'live',
    source,
    at: new Date(atMs).toISOString(),
    ...(author !== undefined && { author }),
    ...(key !== undefined && { key }),
    ...(message !== undefined && { message }),
    offset,
  }
}
