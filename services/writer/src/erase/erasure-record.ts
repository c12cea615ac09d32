import { hash } from 'node:crypto'
import type { NewRecord } from '@winnow/bus'
import { acceptsVersion, isNewerVersion, writtenVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'

/** Every key of `control` that is an erasure's begins so: `erasure/<id>`, `erasure/<id>/<hash>` for its traces. */
export const erasureKeyPrefix = 'erasure/'

/** Trace ids in one record of `control`: 140 KB. */
export const erasureChunkTraces = 4_096

/** Traces that all erasures may block at once: every writer and query holds them. */
export const erasureTracesMax = 262_144

/** Of these what one tenant's may, so that no tenant keeps another from erasing. */
export const erasureTracesOfTenantMax = 131_072

/**
 * Traces that one erasure may concern without whoever asked having confirmed how many. An attribute of level structural
 * (a service, a model) names no subject: by one of those none are erased unconfirmed.
 */
export const erasureUnconfirmedMax = 1_000

/** Erasures that `control` holds, with the receipts of those that have ended. */
export const erasuresMax = 10_000

/** Of these what one tenant may have. */
export const erasuresOfTenantMax = 2_000

/** How long a receipt can be looked up, and how long what removed nothing: a dry run, a refusal. */
export const receiptLifeMs = 90 * 24 * 3_600_000
export const emptyReceiptLifeMs = 24 * 3_600_000

/** Objects that one erasure sets aside since they cannot be read; at one more its step fails as a whole. */
export const erasureAsideMax = 64

/** Of what made a step fail, in characters. */
export const erasureFailingTextMax = 300

/** What a person says of it, in UTF-8. */
export const erasureByBytesMax = 64

/**
 * `running`: it looks for the traces, or removes them · `waiting-for-retention`: they are removed from every
 * store, and blocked until what the bus holds of them has expired · `done`: the traces that were found are in
 * no store and on no topic; docs/erasure.md says what is not reached · `refused`: nothing was removed, `why` says what to do.
 */
export type ErasureState = 'running' | 'waiting-for-retention' | 'done' | 'refused'

/** Of one place that things were removed from. */
export interface Removed {
  /** Objects or files that were written anew; of hot: traces. */
  readonly objects: number
  readonly rows: number
  readonly bytes: number
}

/** An object that could not be read: whether it holds the traces is not known, so nothing is done before it can. */
export interface SetAside {
  readonly key: string
  /** What was to be done with it. */
  readonly step: 'finding' | 'removing'
}

/** What kept the last step from its end; it is tried again. */
export interface ErasureFailing {
  readonly code: string
  readonly text: string
  readonly atMs: number
}

export type RemovedFrom = 'hot' | 'warm' | 'cold' | 'ledger'

/** What time removes, and when it will have, by the settings in force. */
export interface ErasureWait {
  readonly where: string
  readonly untilMs: number
}

/** A job and, when it is done, its receipt. It never holds the value that was asked for. */
export interface Erasure {
  readonly id: string
  readonly tenant: string
  /** The attribute, or `trace.id`. */
  readonly field: string
  /**
   * The value under each of the tenant's cold keys, as it was given and as redaction lets it into the bus; or the trace's
   * id. Gone once nobody needs them.
   */
  readonly tokens?: readonly string[]
  /**
   * Check values of the keys that `tokens` were made with: cold's, the current one last, and where redaction changes
   * the value, that of its tokens. Who has others would look for what is nowhere, and call it erased.
   */
  readonly keys?: { readonly cold: readonly string[]; readonly tokens?: string }
  /** Nothing is removed: `removed` says what would be. */
  readonly dryRun?: true
  /** So many traces whoever asked has confirmed that it may concern. */
  readonly tracesMax?: number
  /** Name of the key that asked. */
  readonly by?: string
  readonly askedAtMs: number
  readonly state: ErasureState
  readonly step?: 'finding' | 'removing'
  /** Objects and stretches of the bus looked at in this step. */
  readonly looked: number
  /** Traces. */
  readonly found: number
  /** Since when they are blocked. What the bus took before is waited for. */
  readonly blockedAtMs?: number
  /** The last decision on one of them. */
  readonly decidedAtMs?: number
  readonly removed: Readonly<Record<RemovedFrom, Removed>> & { readonly holds?: Removed }
  /** A process ended while it removed: of hot and holds `removed` is the least that it was. */
  readonly resumed?: true
  readonly waits: readonly ErasureWait[]
  readonly removedAtMs?: number
  readonly endedAtMs?: number
  readonly aside?: readonly SetAside[]
  readonly failing?: ErasureFailing
  readonly why?: string
}

const none: Removed = { objects: 0, rows: 0, bytes: 0 }

export const nothingRemoved: Erasure['removed'] = {
  hot: none,
  warm: none,
  cold: none,
  ledger: none,
}

export function hasRemoved({ removed }: Erasure): boolean {
  return Object.values(removed).some(({ objects, rows }) => objects + rows > 0)
}

export function isActive({ state }: Erasure): boolean {
  return state === 'running' || state === 'waiting-for-retention'
}

export function erasureRecord(erasure: Erasure): NewRecord {
  return recordOf(`${erasureKeyPrefix}${erasure.id}`, { kind: 'erasure', ...erasure })
}

/**
 * Traces of an erasure. Two that look for them at once may find unlike sets: a record is named by what is in it, so
 * that none takes the place of another's, and what is blocked is all that either found.
 */
export function tracesRecord(id: string, traceIds: readonly string[]): NewRecord {
  const chunk = hash('sha256', traceIds.join('\n'), 'hex').slice(0, 16)
  return recordOf(`${erasureKeyPrefix}${id}/${chunk}`, { kind: 'erasure-traces', traceIds })
}

/** Takes back what the record of that name said. */
export function noTracesRecord(id: string, chunk: string): NewRecord {
  return recordOf(`${erasureKeyPrefix}${id}/${chunk}`, { kind: 'erasure-traces', traceIds: [] })
}

/** The receipt's time is over: of one that has not ended it says nothing. */
export function forgottenRecord(id: string): NewRecord {
  return recordOf(`${erasureKeyPrefix}${id}`, { kind: 'erasure-forgotten' })
}

/** Whether an erasure has ended so long ago that its receipt goes. */
export function isReceiptOver(
  { state, dryRun, endedAtMs, askedAtMs }: Erasure,
  nowMs: number,
): boolean {
  if (state !== 'done' && state !== 'refused') return false
  const isEmpty = state === 'refused' || dryRun === true
  return nowMs - (endedAtMs ?? askedAtMs) >= (isEmpty ? emptyReceiptLifeMs : receiptLifeMs)
}

function recordOf(key: string, said: object): NewRecord {
  const value = JSON.stringify({ v: writtenVersion('erasureRecord'), ...said })
  return { key: Buffer.from(key), value: Buffer.from(value) }
}

export type ReadErasureRecord =
  | { readonly kind: 'erasure'; readonly erasure: Erasure }
  | {
      readonly kind: 'traces'
      readonly id: string
      readonly chunk: string
      readonly traceIds: readonly string[]
    }
  | { readonly kind: 'forgotten'; readonly id: string }

/**
 * Undefined for what another puts into `control`, and for what is no record under a name of ours: nothing that
 * anybody can put there ends a process. Throws DATA_CORRUPT for a newer format: to pass over it would let back
 * what it blocks.
 */
export function readErasureRecord(
  key: Uint8Array | undefined,
  value: Uint8Array,
): ReadErasureRecord | undefined {
  const name = key === undefined ? '' : Buffer.from(key).toString()
  const match = /^erasure\/([0-9a-f]{16})(?:\/([0-9a-f]{16}))?$/.exec(name)
  if (match === null) return undefined
  const read = parsed(value)
  if (read === undefined) return undefined
  const { v, kind, ...said } = read
  if (isNewerVersion('erasureRecord', v)) {
    throw new PipelineError('DATA_CORRUPT', `${name} in control has format v ${v}: upgrade first`)
  }
  if (!acceptsVersion('erasureRecord', v)) return undefined
  const [, id = '', chunk] = match
  if (kind === 'erasure')
    return chunk === undefined && isErasure(said, id) ? { kind, erasure: said } : undefined
  if (kind === 'erasure-forgotten')
    return chunk === undefined ? { kind: 'forgotten', id } : undefined
  const { traceIds } = said as { readonly traceIds?: unknown }
  if (kind !== 'erasure-traces' || chunk === undefined || !areTexts(traceIds)) return undefined
  return { kind: 'traces', id, chunk, traceIds }
}

function parsed(value: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const read: unknown = JSON.parse(Buffer.from(value).toString())
    const isRecord = typeof read === 'object' && read !== null && !Array.isArray(read)
    return isRecord ? (read as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

const states: ReadonlySet<unknown> = new Set<ErasureState>([
  'running',
  'waiting-for-retention',
  'done',
  'refused',
])

/** As far as whoever folds or shows it counts on it. */
function isErasure(said: object, id: string): said is Erasure {
  const { removed, waits, ...one } = said as { readonly [K in keyof Erasure]?: unknown }
  return (
    one.id === id &&
    typeof one.tenant === 'string' &&
    typeof one.field === 'string' &&
    typeof one.askedAtMs === 'number' &&
    states.has(one.state) &&
    typeof removed === 'object' &&
    removed !== null &&
    Array.isArray(waits)
  )
}

function areTexts(list: unknown): list is readonly string[] {
  return Array.isArray(list) && list.every(one => typeof one === 'string')
}
