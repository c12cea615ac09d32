import { MessageChannel, Worker } from 'node:worker_threads'
import { type Bus, serveBus } from '@winnow/bus'
import type { HealthReport } from '@winnow/runtime'
import { notStarted, type RunningStage } from '../stages/running-stage.ts'
import type { Addresses, FindPending, StageName } from '../stages/stage.ts'
import type { FromStage, StageData, ToStage } from './messages.ts'

export interface StageThreadOptions extends Omit<StageData, 'name' | 'knowsPending'> {
  readonly bus: Bus
  readonly pending?: FindPending
}

/**
 * A stage in a thread of its own, because it blocks: SQLite and Parquet would hold up receiving and
 * deciding for hundreds of milliseconds. It works through the main thread's bus.
 */
export class StageThread implements RunningStage {
  readonly name: StageName
  readonly #options: StageThreadOptions
  readonly #replies = new Map<number, (value: unknown) => void>()
  readonly #started = Promise.withResolvers<Addresses>()
  readonly #failure = Promise.withResolvers<never>()
  #worker: Worker | undefined
  #served: { close(): Promise<void> } | undefined
  #addresses: Addresses | undefined
  #nextId = 1
  #stopped = false

  constructor(name: StageName, options: StageThreadOptions) {
    this.name = name
    this.#options = options
    this.#failure.promise.catch(() => {})
    this.#started.promise.catch(() => {})
  }

  /** Rejects also when the thread ended without being asked to. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  get addresses(): Addresses {
    return this.#addresses ?? {}
  }

  async start(): Promise<void> {
    const { bus, pending, ...rest } = this.#options
    const data: StageData = { ...rest, name: this.name, knowsPending: pending !== undefined }
    const worker = new Worker(new URL('./stage-worker.ts', import.meta.url), {
      name: this.name,
      workerData: data,
    })
    this.#worker = worker
    worker.on('message', (message: FromStage) => this.#receive(message))
    worker.once('error', error => this.#fail(error))
    worker.once('exit', code => {
      if (!this.#stopped) this.#fail(new Error(`the thread ended by itself with ${code}`))
    })
    const channel = new MessageChannel()
    this.#served = serveBus(channel.port1, bus)
    const start: ToStage = {
      kind: 'start',
      busPort: channel.port2,
    }
    worker.postMessage(start, [channel.port2])
    this.#addresses = await this.#started.promise
  }

  async stop(): Promise<void> {
    if (this.#worker === undefined || this.#stopped) return
    await this.#ask('stop')
    this.#stopped = true
    await this.#worker.terminate()
    await this.#served?.close()
  }

  async metrics(): Promise<object[]> {
    return this.#isRunning ? ((await this.#ask('metrics')) as object[]) : []
  }

  async health(): Promise<HealthReport> {
    return this.#isRunning ? ((await this.#ask('health')) as HealthReport) : notStarted
  }

  get #isRunning(): boolean {
    return this.#addresses !== undefined && !this.#stopped
  }

  #ask(what: 'stop' | 'metrics' | 'health'): Promise<unknown> {
    const id = this.#nextId++
    const reply = new Promise(resolve => this.#replies.set(id, resolve))
    this.#send({ kind: 'ask', id, what })
    return Promise.race([reply, this.#failure.promise])
  }

  async #receive(message: FromStage): Promise<void> {
    switch (message.kind) {
      case 'started':
        this.#started.resolve(message.addresses)
        break
      case 'failed':
        this.#fail(Object.assign(new Error(message.error.message), message.error))
        break
      case 'reply':
        this.#replies.get(message.id)?.(message.value)
        this.#replies.delete(message.id)
        break
      case 'askPending': {
        const facts = await this.#options.pending?.(message.tenant, message.traceId)
        this.#send({ kind: 'pending', id: message.id, facts })
      }
    }
  }

  #send(message: ToStage): void {
    this.#worker?.postMessage(message)
  }

  #fail(error: unknown): void {
    this.#started.reject(error)
    this.#failure.reject(error)
  }
}
