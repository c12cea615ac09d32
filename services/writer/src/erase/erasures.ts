import type { Bus, BusRecord } from '@winnow/bus'
import { isRetryable, type Log, PipelineError, type StageClock } from '@winnow/runtime'
import { type Erasure, isActive, readErasureRecord } from './erasure-record.ts'

/** Where all that a fleet has in common is said, so that it has one order. */
export const controlPartition = 0

const readBytesMax = 1024 * 1024
const readWaitMs = 1_000
const failedWaitMs = 1_000

export interface ErasuresOptions {
  readonly bus: Bus
  /** Full name of the topic. */
  readonly control: string
  readonly clock: StageClock
  readonly log: Log
}

/**
 * The erasures of `control`, as a fold of its records: which there are, and which traces must not come
 * back. Whoever reads or writes a trace's bytes asks `has` first. It is as late as its last read:
 * `follow` keeps it within a second, `readToEnd` is for who has to know now.
 */
export class Erasures {
  readonly #options: ErasuresOptions
  readonly #jobs = new Map<string, Erasure>()
  /** By erasure, by name of its record. */
  readonly #traces = new Map<string, Map<string, readonly string[]>>()
  /** Records of `control` that still name traces, those of ended erasures included. */
  readonly #chunks = new Map<string, Set<string>>()
  /** By tenant, by trace, which erasure blocks it. */
  #blocked = new Map<string, Map<string, string>>()
  #next: number | undefined
  #version = 0
  #reading: Promise<void> | undefined
  readonly #ready = Promise.withResolvers<void>()

  constructor(options: ErasuresOptions) {
    this.#options = options
  }

  /** Resolves once all that was there has been read: from then on `has` may be asked. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** Another one once other traces are blocked. */
  get version(): number {
    return this.#version
  }

  /** The erasure that blocks the trace. */
  blockedBy(tenant: string, traceId: string): string | undefined {
    return this.#blocked.get(tenant)?.get(traceId)
  }

  has(tenant: string, traceId: string): boolean {
    return this.#blocked.size > 0 && this.blockedBy(tenant, traceId) !== undefined
  }

  /** How many traces are blocked, of one tenant or of all; by others than the erasure `but`. */
  blocked(tenant?: string, but?: string): number {
    let count = 0
    for (const [of, traces] of this.#blocked) {
      if (tenant !== undefined && of !== tenant) continue
      count += traces.size
      if (but === undefined) continue
      for (const id of traces.values()) if (id === but) count--
    }
    return count
  }

  get(id: string): Erasure | undefined {
    return this.#jobs.get(id)
  }

  /** In the order in which they were first said. */
  get all(): readonly Erasure[] {
    return [...this.#jobs.values()]
  }

  tracesOf(id: string): string[] {
    return [...new Set([...(this.#traces.get(id)?.values() ?? [])].flat())]
  }

  /** Names of the records that name its traces, whether it has ended or not. */
  chunksOf(id: string): string[] {
    return [...(this.#chunks.get(id) ?? [])]
  }

  /** Reads all that is there when it is called. Rejects with what may pass. */
  async readToEnd(): Promise<void> {
    // Who asks while somebody reads may have to know what came after that began.
    await this.#reading?.catch(() => {})
    this.#reading ??= this.#readToEnd().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
    this.#ready.resolve()
  }

  /** Until `ended`. What the bus does not answer is asked again. */
  async follow(ended: AbortSignal): Promise<void> {
    const { bus, control, clock, log } = this.#options
    while (!ended.aborted) {
      try {
        await this.readToEnd()
        // What others say meanwhile ends the wait.
        const from = this.#next ?? 0
        await bus.read(control, controlPartition, from, readBytesMax, readWaitMs)
      } catch (error) {
        if (!isRetryable(error)) throw error
        log.error('erasures.read_failed', error)
        await clock.sleep(failedWaitMs, ended)
      }
    }
  }

  async #readToEnd(): Promise<void> {
    const { bus, control } = this.#options
    let { first, end } = await bus.bounds(control, controlPartition)
    this.#next ??= first
    while (this.#next < end) {
      const from: number = this.#next
      const { records } = await bus.read(control, controlPartition, from, readBytesMax, readWaitMs)
      const last = records.at(-1)
      if (last === undefined) {
        const text = `${control}/${controlPartition} ends at ${end} and brings nothing from ${from} on`
        throw new PipelineError('BUS_UNAVAILABLE', text)
      }
      this.#apply(records)
      this.#next = last.offset + 1
      // A record that was compacted away meanwhile has its successor behind the end of before.
      ;({ end } = await bus.bounds(control, controlPartition))
    }
  }

  #apply(records: readonly BusRecord[]): void {
    let isChanged = false
    for (const { key, value } of records) {
      const read = readErasureRecord(key, value)
      if (read === undefined) continue
      if (read.kind === 'erasure') {
        const { erasure } = read
        const before = this.#jobs.get(erasure.id)
        isChanged ||= before === undefined || isActive(before) !== isActive(erasure)
        this.#jobs.set(erasure.id, erasure)
        if (!isActive(erasure)) this.#traces.delete(erasure.id)
        continue
      }
      const job = this.#jobs.get(read.id)
      if (read.kind === 'forgotten') {
        if (job !== undefined && !isActive(job)) this.#jobs.delete(read.id)
        continue
      }
      isChanged = true
      const { id, chunk, traceIds } = read
      const names = this.#chunks.get(id) ?? new Set<string>()
      if (traceIds.length === 0) names.delete(chunk)
      else names.add(chunk)
      if (names.size === 0) this.#chunks.delete(id)
      else this.#chunks.set(id, names)
      if (job !== undefined && !isActive(job)) continue
      const chunks = this.#traces.get(id) ?? new Map<string, readonly string[]>()
      if (traceIds.length === 0) chunks.delete(chunk)
      else chunks.set(chunk, traceIds)
      this.#traces.set(id, chunks)
    }
    if (isChanged) this.#block()
  }

  #block(): void {
    this.#version++
    const blocked = new Map<string, Map<string, string>>()
    for (const [id, chunks] of this.#traces) {
      const tenant = this.#jobs.get(id)?.tenant
      // Its job has been compacted to behind its traces, and is read next.
      if (tenant === undefined) continue
      const traces = blocked.get(tenant) ?? new Map<string, string>()
      for (const traceIds of chunks.values()) for (const one of traceIds) traces.set(one, id)
      if (traces.size > 0) blocked.set(tenant, traces)
    }
    this.#blocked = blocked
  }
}
