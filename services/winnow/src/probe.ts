import type { Bus } from '@winnow/bus'
import { type HealthPart, PipelineError } from '@winnow/runtime'
import type { BlobStore, HotStore } from '@winnow/storage'

/** Who is in step answers in milliseconds, and who asks for readiness often waits no more than a second. */
export const probeWaitMaxMs = 800

/** So long a store's answer counts: it is asked once however many ask, and a request may cost money. */
export const storeAnswerKeptMs = 5_000

export interface ProbeOptions {
  /** As messages call it: `the bus`. */
  readonly what: string
  /** Resolves when it answered. */
  readonly ask: () => Promise<unknown>
  /** 0: asked every time. Only what was good is kept, so that a recovery is seen at once. */
  readonly keptMs?: number
  /** Without it the stage is slower or lacks something, and ready: it says so instead. */
  readonly optional?: boolean
  readonly nowMs?: () => number
}

/**
 * Whether something that a stage stands on answers right now. A stage that has nothing to do, or waits
 * inside of a read, does not notice by itself.
 */
export class Probe {
  readonly #options: ProbeOptions
  readonly #nowMs: () => number
  #asking: Promise<HealthPart> | undefined
  #goodUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: ProbeOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
  }

  /** One question at a time, however many ask; not ready while there is no answer. */
  async read(): Promise<HealthPart> {
    if (this.#nowMs() < this.#goodUntilMs) return { ready: true }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    const late = Promise.withResolvers<HealthPart>()
    const silent = `${this.#options.what} was silent for ${probeWaitMaxMs} ms`
    const timer = setTimeout(() => late.resolve(this.#without(silent)), probeWaitMaxMs)
    return Promise.race([this.#asking, late.promise]).finally(() => clearTimeout(timer))
  }

  async #ask(): Promise<HealthPart> {
    const { what, ask, keptMs = 0 } = this.#options
    try {
      await ask()
      this.#goodUntilMs = this.#nowMs() + keptMs
      return { ready: true }
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return this.#without(`${what} does not answer: ${error.message}`)
    }
  }

  #without(detail: string): HealthPart {
    return { ready: this.#options.optional === true, detail }
  }
}

/** `topic`: one that the asking stage uses anyway. */
export function busProbe(bus: Pick<Bus, 'bounds'>, topic: string): Probe {
  return new Probe({ what: 'the bus', ask: () => bus.bounds(topic, 0) })
}

/** No tenant and no object has this name: what is asked is whether there is an answer. */
const nobody = 'winnow-probe'

export function hotProbe(hot: Pick<HotStore, 'search'>): Probe {
  const ask = () => hot.search({ tenant: nobody, limit: 1 })
  return new Probe({ what: 'the hot store', ask, keptMs: storeAnswerKeptMs })
}

/** `optional`: for who only reads older days in it, or can do without a snapshot. */
export function blobProbe(blobs: Pick<BlobStore, 'head'>, { optional = false } = {}): Probe {
  const ask = () => blobs.head(`${nobody}/none.probe`)
  return new Probe({ what: 'the blob store', ask, keptMs: storeAnswerKeptMs, optional })
}
