import {
  type CostAnswer,
  type CostRows,
  type CostSettings,
  type Dimension,
  dimensions,
  findCostRows,
  measureCost,
} from '@winnow/cost'
import { type Clock, PipelineError } from '@winnow/runtime'
import type { BlobStore, HotStore } from '@winnow/storage'
import { ApiError } from './api-error.ts'
import type { Answer, Reader } from './routes.ts'
import { flag, refuseUnknown, wholeNumber, windowAsked } from './search.ts'
import { tenantAsked } from './tenant-asked.ts'

/** Days that costs can be measured over, and how many they are when nobody says. */
export const costDaysMax = 365
const costDaysDefault = 7

/** Objects that one question lists: half a minute of an object store's listing. */
export const costObjectsMax = 500_000

/** Segments of the ledger that one question reads, each whole, the newest: a minute or two of reading. */
export const costSegmentsMax = 5_000

/** Questions that are worked out at the same time: further ones are told to come again. */
export const costsAtOnceMax = 2

/** How long an answer is given again, and how many are kept for it. */
export const costKeptMs = 5_000
export const costAnswersMax = 32

/** Decisions that one answer shows, and how many it does when nobody says. */
export const costRowsMax = 1_000
const costRowsDefault = 100

export interface CostsOptions {
  readonly settings: CostSettings
  readonly blobs: BlobStore
  readonly hot: HotStore
  readonly clock: Clock
  readonly objectsMax?: number
  readonly segmentsMax?: number
}

interface Kept {
  /** When it was answered; Infinity: it is being worked out. */
  atMs: number
  readonly answer: Promise<CostAnswer>
}

const dayMs = 86_400_000

/** What costs are of one process: each question is a listing of the store and a read of the ledger. */
export class Costs {
  readonly #options: CostsOptions
  readonly #kept = new Map<string, Kept>()
  #running = 0

  constructor(options: CostsOptions) {
    this.#options = options
  }

  /** Who asks the same within {@link costKeptMs} is given the same. */
  report(
    tenant: string | undefined,
    asked: {
      readonly days: number
      readonly by: readonly Dimension[]
      readonly isCompared: boolean
      readonly isDaily: boolean
    },
  ): Promise<CostAnswer> {
    const nowMs = this.#options.clock.nowMs()
    for (const [key, { atMs }] of this.#kept) {
      if (atMs + costKeptMs <= nowMs) this.#kept.delete(key)
    }
    const key = JSON.stringify([tenant ?? null, asked])
    const known = this.#kept.get(key)
    if (known !== undefined) return known.answer
    const answer = this.#alone(() => this.#measure(tenant, asked, nowMs))
    const kept = { atMs: Number.POSITIVE_INFINITY, answer }
    this.#kept.set(key, kept)
    answer.then(
      () => {
        kept.atMs = this.#options.clock.nowMs()
      },
      () => this.#kept.delete(key),
    )
    for (const [other, { atMs }] of this.#kept) {
      if (this.#kept.size <= costAnswersMax) break
      if (Number.isFinite(atMs)) this.#kept.delete(other)
    }
    return answer
  }

  rows(
    filter: Omit<Parameters<typeof findCostRows>[1], 'segmentsMax' | 'objectsMax'>,
  ): Promise<CostRows> {
    const { blobs, segmentsMax = costSegmentsMax, objectsMax = costObjectsMax } = this.#options
    return this.#alone(() => findCostRows(blobs, { ...filter, segmentsMax, objectsMax }))
  }

  async #measure(
    tenant: string | undefined,
    { days, ...asked }: Parameters<Costs['report']>[1],
    nowMs: number,
  ): Promise<CostAnswer> {
    const { blobs, hot, settings, objectsMax = costObjectsMax } = this.#options
    const { segmentsMax = costSegmentsMax } = this.#options
    const report = await measureCost(
      { blobs, hotBytes: () => hot.bytes(), settings },
      { ...asked, tenant, nowMs, daysMax: days, objectsMax, segmentsMax },
    )
    const window = {
      since: report.reachedSince ?? new Date(nowMs - days * dayMs).toISOString(),
      until: new Date(nowMs).toISOString(),
    }
    const prices = tenant === undefined ? settings.prices : { ...settings.prices, fixed: [] }
    return { ...report, tenant: tenant ?? null, window, prices }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= costsAtOnceMax) {
      const remedy = `${costsAtOnceMax} questions about costs are being answered; ask again in a second`
      throw new ApiError(503, 'TOO_MANY_COSTS', remedy)
    }
    this.#running++
    try {
      return await work()
    } catch (error) {
      throw refusalOf(error)
    } finally {
      this.#running--
    }
  }
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof PipelineError)) return error
  if (error.code === 'QUOTA_EXCEEDED') {
    const remedy = `${error.message}: run winnow cost, which has no limit; a longer writer.segmentAge makes fewer objects`
    return new ApiError(422, 'COST_TOO_LARGE', remedy)
  }
  if (error.code === 'DATA_CORRUPT') {
    const remedy = `an object cannot be read, and without it no sum is right: ${error.message}; winnow audit names it`
    return new ApiError(500, 'LEDGER_UNREADABLE', remedy)
  }
  return error
}

/** `GET /api/v1/cost`: of the key's tenant; `?tenants=all`, with the scope `admin`: of the fleet. */
export async function getCost(
  costs: Costs,
  reader: Reader,
  query: URLSearchParams,
): Promise<Answer> {
  refuseUnknown(query, ['days', 'by', 'compare', 'daily', 'tenants'])
  const asked = {
    days: wholeNumber(query, 'days', 1, costDaysMax) ?? costDaysDefault,
    by: dimensionsOf(query),
    isCompared: flag(query, 'compare'),
    isDaily: flag(query, 'daily'),
  }
  return { status: 200, body: await costs.report(tenantAsked(reader, query), asked) }
}

/** `GET /api/v1/cost/rows`: the decisions that a figure adds up, within the window that its report names. */
export async function getCostRows(
  costs: Costs,
  reader: Reader,
  query: URLSearchParams,
  nowMs: number,
  isHidden: (tenant: string, traceId: string) => boolean,
): Promise<Answer> {
  const names = Object.keys(dimensions) as Dimension[]
  refuseUnknown(query, ['since', 'until', 'matched', 'only', 'limit', 'tenants', ...names])
  const { sinceMs: since, untilMs = nowMs } = windowAsked(query, nowMs)
  const sinceMs = since ?? untilMs - costDaysDefault * dayMs
  if (untilMs - sinceMs > costDaysMax * dayMs) {
    throw new ApiError(400, 'WINDOW_TOO_LONG', `give at most ${costDaysMax} days`, {
      field: 'since',
      value: query.get('since') ?? '',
    })
  }
  const given = names.filter(name => query.has(name)).map(name => [name, query.get(name) ?? ''])
  const rows = await costs.rows({
    sinceMs,
    untilMs,
    tenant: tenantAsked(reader, query),
    of: Object.fromEntries(given) as Partial<Record<Dimension, string>>,
    matched: query.get('matched') ?? undefined,
    only: onlyOf(query),
    limit: wholeNumber(query, 'limit', 1, costRowsMax) ?? costRowsDefault,
    isHidden,
  })
  return { status: 200, body: rows }
}

const onlyNames = ['kept', 'written', 'errors'] as const

function onlyOf(query: URLSearchParams): (typeof onlyNames)[number] | undefined {
  const value = query.get('only')
  if (value === null) return undefined
  const known = onlyNames.find(name => name === value)
  if (known !== undefined) return known
  throw new ApiError(400, 'INVALID_ONLY', `use one of ${onlyNames.join(', ')}`, {
    field: 'only',
    value,
  })
}

function dimensionsOf(query: URLSearchParams): Dimension[] {
  const names = (query.get('by') ?? '').split(',').filter(name => name !== '')
  for (const name of names) {
    if (Object.hasOwn(dimensions, name)) continue
    const known = Object.keys(dimensions).join(', ')
    throw new ApiError(400, 'INVALID_BY', `use ${known}; several with commas`, {
      field: 'by',
      value: name,
    })
  }
  return [...new Set(names)].sort() as Dimension[]
}
