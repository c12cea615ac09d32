import type { HealthPart, Log } from '@winnow/runtime'
import type { RedisClient } from './redis-client.ts'
import { type LeftOut, type RedisTrouble, redisTrouble } from './redis-errors.ts'

export interface RedisLinkOptions {
  /** As the key `buffer` has it; it holds no secret. */
  readonly address: string
  readonly log: Log
  /** Told at the start and at every change. */
  readonly setUp: (isUp: boolean) => void
}

/**
 * Whether the server can be asked, and what an operator is told of it: one line when something is wrong,
 * one when it is over, and the reason meanwhile.
 */
export class RedisLink {
  readonly client: RedisClient
  readonly #options: RedisLinkOptions
  /** Why there is no connection, once that is known. */
  #lost: RedisTrouble | undefined
  /** What it answers instead of what was asked. */
  #refusal: RedisTrouble | undefined
  #isTold = false
  #wasReady = false
  #isClosed = false

  constructor(client: RedisClient, options: RedisLinkOptions) {
    this.client = client
    this.#options = options
    const { address, log, setUp } = options
    setUp(false)
    client.on('ready', () => {
      this.#lost = undefined
      if (this.#isTold || !this.#wasReady) log.info('buffer.connected', { buffer: address })
      this.#wasReady = true
      this.#changed()
    })
    client.on('close', () => this.#changed())
    // Without a listener the client writes what is wrong to the console.
    client.on('error', (error: unknown) => {
      this.#lost = redisTrouble(error)
      // Of a connection that still stands it is the reason why that ends next.
      if (!this.isReady) this.#changed()
    })
  }

  get isReady(): boolean {
    return !this.#isClosed && this.client.status === 'ready'
  }

  /** Tries for so long; it goes on trying by itself afterwards. */
  async connect(waitMs: number): Promise<void> {
    const { client } = this
    const ready = new Promise<void>(resolve => client.once('ready', () => resolve()))
    client.connect().catch(() => {})
    await Promise.race([ready.then(() => this.#reachNodes()), after(waitMs)])
    if (!this.isReady) this.#changed()
  }

  /** Undefined: it does what is asked again. */
  refused(refusal: RedisTrouble | undefined): void {
    if (refusal === undefined && this.#refusal === undefined) return
    this.#refusal = refusal
    this.#changed()
  }

  /** Never the reason to be unready: without it everything is slower and nothing else. */
  health(): HealthPart {
    const trouble = this.#trouble
    if (trouble === undefined) return { ready: true }
    const { reason, remedy } = trouble
    const { address } = this.#options
    return {
      ready: true,
      detail: `trace buffer ${address}: ${reason}; the bus is read instead, which is slower; ${remedy}`,
    }
  }

  /** Why nothing is put meanwhile. */
  get leftOut(): LeftOut {
    return this.#trouble?.leftOut ?? 'down'
  }

  close(): void {
    this.#isClosed = true
    this.client.disconnect()
  }

  /** A cluster connects to a node when it is first asked, and would refuse what else comes meanwhile. */
  async #reachNodes(): Promise<void> {
    const { client } = this
    if ('nodes' in client) {
      await Promise.allSettled(client.nodes('master').map(node => node.ping()))
    }
  }

  get #trouble(): RedisTrouble | undefined {
    return this.isReady ? this.#refusal : (this.#lost ?? noConnection)
  }

  #changed(): void {
    if (this.#isClosed) return
    const { address, log, setUp } = this.#options
    const trouble = this.#trouble
    setUp(trouble === undefined)
    if (trouble === undefined) {
      // A full server takes a value now and then: what it refuses is told once a minute, by the log.
      this.#isTold = false
    } else if (!this.#isTold && trouble !== noConnection) {
      const { reason, remedy } = trouble
      log.warn('buffer.degraded', { buffer: address, reason, remedy, instead: 'the bus is read' })
      this.#isTold = true
    }
  }
}

/** Of a connection that has just ended, or is being made: an error follows that knows more, or none. */
const noConnection: RedisTrouble = {
  leftOut: 'down',
  reason: 'not connected',
  remedy: 'see whether a Redis answers there',
}

/** Keeps no process alive. */
function after(ms: number): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, ms).unref()
  })
}
