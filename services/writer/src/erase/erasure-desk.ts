import type { Bus } from '@winnow/bus'
import { parseTraceId } from '@winnow/model'
import { type ColdHashers, coldKeyCheck, levelOf } from '@winnow/privacy'
import { type Clock, PipelineError } from '@winnow/runtime'
import { newErasure } from './eraser.ts'
import {
  type Erasure,
  type ErasureFailing,
  erasureByBytesMax,
  erasureRecord,
  type Removed,
} from './erasure-record.ts'
import { erasuresMistake } from './erasure-room.ts'
import { controlPartition, type Erasures } from './erasures.ts'
import { notReachedBy } from './not-reached.ts'
import { asideText } from './set-aside.ts'

/** Longest value of an attribute that can be asked for: what no store but that of text holds is longer. */
export const erasureValueLengthMax = 256

export interface ErasureDeskOptions {
  readonly bus: Bus
  /** Full name of the topic. */
  readonly control: string
  readonly hashers: ColdHashers
  /** What stands on the bus for a text that a client sends, and the check value of the key that made it so. */
  readonly redact?: (tenant: string, text: string) => Promise<RedactedText>
  readonly erasures: Erasures
  readonly clock: Clock
}

export interface RedactedText {
  readonly text: string
  readonly keyCheck?: string
}

export interface ErasureRequest {
  readonly tenant: string
  /** One attribute and its value. */
  readonly where: Readonly<Record<string, unknown>>
  readonly by?: string | undefined
  readonly dryRun?: boolean | undefined
  /** So many traces are meant at the most; more than a few have to be confirmed so. */
  readonly tracesMax?: number | undefined
}

export type ErasureAsked =
  | { readonly kind: 'accepted'; readonly erasure: ShownErasure }
  | {
      readonly kind: 'refused'
      readonly field: string
      readonly value?: string
      readonly remedy: string
    }
  /** The tenant's keys are not to be had here. */
  | { readonly kind: 'unavailable'; readonly remedy: string }

/** An erasure as people are shown it: job and receipt in one. Times are RFC 3339 UTC. */
export interface ShownErasure {
  readonly id: string
  readonly state: Erasure['state']
  readonly step?: string
  readonly where: string
  readonly dryRun?: true
  readonly by?: string
  readonly askedAt: string
  readonly traces: number
  readonly looked: number
  readonly removed: Readonly<Record<string, Removed>>
  /** A process was ended while it removed: of hot at least so much was. */
  readonly resumed?: true
  readonly blockedAt?: string
  readonly removedAt?: string
  readonly endedAt?: string
  /** What time removes, and when it will have. */
  readonly waitsFor: readonly { readonly where: string; readonly until: string }[]
  /** Once it was carried out: what this is no receipt for. */
  readonly notReached?: readonly string[]
  /** Objects that could not be read: it is not done before they can be, or are gone. */
  readonly unreadable?: readonly string[]
  /** What kept the last step from its end; it is tried again. */
  readonly failing?: { readonly code: string; readonly text: string; readonly at: string }
  readonly why?: string
}

export interface ErasurePage {
  readonly erasures: readonly ShownErasure[]
  readonly cursor?: string
}

/** Where erasures are asked for and looked up, within a tenant. It removes nothing itself. */
export class ErasureDesk {
  readonly #options: ErasureDeskOptions

  constructor(options: ErasureDeskOptions) {
    this.#options = options
  }

  /** The erasure that has taken the trace, or takes it. */
  blockedBy(tenant: string, traceId: string): string | undefined {
    return this.#options.erasures.blockedBy(tenant, traceId)
  }

  async ask({
    tenant,
    where,
    by,
    dryRun = false,
    tracesMax,
  }: ErasureRequest): Promise<ErasureAsked> {
    const { bus, control, erasures, clock } = this.#options
    const read = readWhere(where)
    if ('remedy' in read) return { kind: 'refused', ...read }
    const { field, value } = read
    await erasures.readToEnd()
    const full = erasuresMistake(erasures, tenant)
    if (full !== undefined) return { kind: 'refused', field: 'where', remedy: full }
    const tokens = field === 'trace.id' ? { tokens: [value] } : await this.#tokens(tenant, value)
    if ('remedy' in tokens) return { kind: 'unavailable', remedy: tokens.remedy }
    const name = by?.slice(0, erasureByBytesMax)
    const erasure = newErasure({
      tenant,
      field,
      ...tokens,
      by: name,
      dryRun,
      tracesMax,
      nowMs: clock.nowMs(),
    })
    await bus.append(control, controlPartition, [erasureRecord(erasure)])
    await erasures.readToEnd()
    return { kind: 'accepted', erasure: shownErasure(erasure) }
  }

  /** With a key that the writers do not have it would find nothing, so that it is not begun without theirs. */
  async #tokens(
    tenant: string,
    value: string,
  ): Promise<Required<Pick<Erasure, 'tokens' | 'keys'>> | { readonly remedy: string }> {
    const { hashers, redact } = this.#options
    try {
      const all = await hashers.all(tenant)
      const { text, keyCheck } = (await redact?.(tenant, value)) ?? { text: value }
      // Cold of before a rotation has the tokens of the key of then.
      const tokens = all.flatMap(hasher => [value, text].map(one => hasher.token(one)))
      const isRedacted = text !== value && keyCheck !== undefined
      return {
        tokens: [...new Set(tokens)],
        keys: { cold: all.map(coldKeyCheck), ...(isRedacted && { tokens: keyCheck }) },
      }
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return { remedy: error.message.replace(/^\[[A-Z_]+\] /, '') }
    }
  }

  async status(tenant: string, id: string): Promise<ShownErasure | undefined> {
    const { erasures } = this.#options
    await erasures.readToEnd()
    const found = erasures.get(id)
    return found?.tenant === tenant ? shownErasure(found) : undefined
  }

  /**
   * The newest first, at most `limit`, behind the one that `cursor` names; with the cursor of the next page, if there
   * is one. Undefined: the cursor names none of the tenant's, it may have been forgotten meanwhile.
   */
  async list(
    tenant: string,
    { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<ErasurePage | undefined> {
    const { erasures } = this.#options
    await erasures.readToEnd()
    const own = erasures.all.filter(one => one.tenant === tenant).toReversed()
    const at = cursor === undefined ? -1 : own.findIndex(({ id }) => id === cursor)
    if (cursor !== undefined && at < 0) return undefined
    const page = own.slice(at + 1, at + 1 + limit)
    const last = page.at(-1)
    const hasMore = last !== undefined && last !== own.at(-1)
    return { erasures: page.map(shownErasure), ...(hasMore && { cursor: last.id }) }
  }
}

type ReadWhere =
  | { readonly field: string; readonly value: string }
  | { readonly field: string; readonly value?: string; readonly remedy: string }

const example = 'give one attribute and its value, as {"user.id_hash": "…"}, or {"trace.id": "…"}'

/** What can be looked for: a trace, or an attribute whose value every tier holds or has the token of. */
function readWhere(where: Readonly<Record<string, unknown>>): ReadWhere {
  const [[field, value] = ['where', undefined], ...more] = Object.entries(where)
  if (more.length > 0 || typeof value !== 'string' || value === '') {
    return { field: 'where', remedy: example }
  }
  if (field === 'trace.id') {
    const traceId = parseTraceId(value)
    if (traceId !== undefined) return { field, value: traceId }
    return { field, value, remedy: 'a trace id is 32 hex digits, not all zero' }
  }
  if (levelOf(field) === 'content') {
    const remedy = `${field} is content, which is searched nowhere: name an attribute of level structured (docs/erasure.md), such as user.id_hash, or trace.id`
    return { field: 'where', value: field, remedy }
  }
  if (value.length > erasureValueLengthMax) {
    const remedy = `give at most ${erasureValueLengthMax} characters: a longer value is content`
    return { field: 'where', value: field, remedy }
  }
  return { field, value }
}

export function shownErasure(erasure: Erasure): ShownErasure {
  const { id, state, step, field, dryRun, by, found, looked, removed, resumed } = erasure
  const { askedAtMs, blockedAtMs, removedAtMs, endedAtMs, waits, aside, failing } = erasure
  const why = erasure.why ?? (aside && asideText(aside))
  return {
    id,
    state,
    ...(state === 'running' && step !== undefined && { step }),
    where: field,
    ...(dryRun && { dryRun }),
    ...(by !== undefined && { by }),
    askedAt: iso(askedAtMs),
    traces: found,
    looked,
    removed,
    ...(resumed && { resumed }),
    ...(blockedAtMs !== undefined && { blockedAt: iso(blockedAtMs) }),
    ...(removedAtMs !== undefined && { removedAt: iso(removedAtMs) }),
    ...(endedAtMs !== undefined && { endedAt: iso(endedAtMs) }),
    waitsFor: waits.map(({ where, untilMs }) => ({ where, until: iso(untilMs) })),
    ...(blockedAtMs !== undefined && { notReached: notReachedBy(erasure) }),
    ...(aside && { unreadable: aside.map(({ key }) => key) }),
    ...(failing && { failing: failingShown(failing) }),
    ...(why !== undefined && { why }),
  }
}

function failingShown({ code, text, atMs }: ErasureFailing) {
  return { code, text, at: iso(atMs) }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
