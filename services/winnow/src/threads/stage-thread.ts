import { MessageChannel, Worker } from 'node:worker_threads'
import { type Bus, serveBus } from '@winnow/bus'
import type { PendingFacts } from '@winnow/query'
import type { Component, HealthReport } from '@winnow/runtime'
import type { FromStage, StageData, ToStage } from './messages.ts'

export interface StageThreadOptions {
  /** The module that runs in the worker: `writer-thread.ts` or `query-thread.ts`. */
  readonly module: URL
  readonly data: StageData
  readonly bus: Bus
  readonly pending?: (tenant: string, traceId: string) => PendingFacts | undefined
}

/**
 * A stage in a thread of its own, because it blocks: SQLite and Parquet would hold up receiving and
 * deciding for hundreds of milliseconds. It works through the main thread's bus.
 */
export class StageThread implements Component {
  readonly #options: StageThreadOptions
  readonly #replies = new Map<number, (value: unknown) => void>()
  readonly #started = Promise.withResolvers<string | undefined>()
  readonly #failure = Promise.withResolvers<never>()
  #worker: Worker | undefined
  #served: { close(): Promise<void> } | undefined
  #nextId = 1
  #stopped = false

  constructor(options: StageThreadOptions) {
    this.#options = options
    this.#failure.promise.catch(() => {})
    this.#started.promise.catch(() => {})
  }

  /** Rejects when the thread ended without being asked to. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  /** Where the stage listens, if it does; known once started. */
  address: string | undefined

  async start(): Promise<void> {
    const { module, data, bus } = this.#options
    const worker = new Worker(module, { workerData: data })
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
    this.address = await this.#started.promise
  }

  async stop(): Promise<void> {
    if (this.#worker === undefined || this.#stopped) return
    await this.#ask('stop')
    this.#stopped = true
    await this.#worker.terminate()
    await this.#served?.close()
  }

  metrics(): Promise<object[]> {
    return this.#ask('metrics') as Promise<object[]>
  }

  health(): Promise<HealthReport> {
    return this.#ask('health') as Promise<HealthReport>
  }

  #ask(what: 'stop' | 'metrics' | 'health'): Promise<unknown> {
    const id = this.#nextId++
    const reply = new Promise(resolve => this.#replies.set(id, resolve))
    this.#send({ kind: 'ask', id, what })
    return Promise.race([reply, this.#failure.promise])
  }

  #receive(message: FromStage): void {
    switch (message.kind) {
      case 'started':
        this.#started.resolve(message.address)
        break
      case 'failed':
        this.#fail(Object.assign(new Error(message.error.message), message.error))
        break
      case 'reply':
        this.#replies.get(message.id)?.(message.value)
        this.#replies.delete(message.id)
        break
      case 'askPending': {
        const facts = this.#options.pending?.(message.tenant, message.traceId)
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
