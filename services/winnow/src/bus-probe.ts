import type { Bus } from '@winnow/bus'
import { type HealthPart, PipelineError } from '@winnow/runtime'

/** A broker in step answers in milliseconds, and who asks for readiness often waits no more than a second. */
export const probeWaitMaxMs = 800

/**
 * Whether the bus answers right now. Without it no stage can do its work, and a stage that has nothing
 * to do, or waits for the bus inside of a read, does not notice by itself.
 */
export class BusProbe {
  readonly #bus: Pick<Bus, 'bounds'>
  readonly #topic: string
  #asking: Promise<HealthPart> | undefined

  constructor(bus: Pick<Bus, 'bounds'>, topic: string) {
    this.#bus = bus
    this.#topic = topic
  }

  /** One question at a time, however many ask; not ready while there is no answer. */
  async read(): Promise<HealthPart> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    const late = Promise.withResolvers<HealthPart>()
    const timer = setTimeout(
      () => late.resolve({ ready: false, detail: `the bus was silent for ${probeWaitMaxMs} ms` }),
      probeWaitMaxMs,
    )
    return Promise.race([this.#asking, late.promise]).finally(() => clearTimeout(timer))
  }

  async #ask(): Promise<HealthPart> {
    try {
      await this.#bus.bounds(this.#topic, 0)
      return { ready: true }
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return { ready: false, detail: `the bus does not answer: ${error.message}` }
    }
  }
}
