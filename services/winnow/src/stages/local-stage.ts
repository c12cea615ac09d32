import { countingLog, Health, type HealthReport, Metrics } from '@winnow/runtime'
import { notStarted, type RunningStage } from './running-stage.ts'
import {
  type Addresses,
  type FindPending,
  makeStage,
  type Stage,
  type StageContext,
  type StageName,
} from './stage.ts'
import { stageMetrics } from './stage-metrics.ts'

/** A stage in the thread that made it. */
export class LocalStage implements RunningStage {
  readonly name: StageName
  readonly #context: StageContext
  readonly #failure = Promise.withResolvers<never>()
  #stage: Stage | undefined

  constructor(name: StageName, context: Omit<StageContext, 'metrics' | 'health'>) {
    this.name = name
    const metrics = new Metrics()
    const log = countingLog(context.log, level => metrics.problems.inc({ stage: name, level }))
    // A stage without trouble says so: a series that is not there would look the same as no scrape.
    for (const level of ['warn', 'error']) metrics.problems.inc({ stage: name, level }, 0)
    this.#context = { ...context, log, metrics, health: new Health() }
    this.#failure.promise.catch(() => {})
  }

  get failed(): Promise<never> {
    return this.#failure.promise
  }

  get addresses(): Addresses {
    return this.#stage?.addresses?.() ?? {}
  }

  readonly pending: FindPending = (tenant, traceId) => this.#stage?.pending?.(tenant, traceId)

  /** Undefined where the stage has not started, too. */
  readonly position = (partition: number): number | undefined => this.#stage?.position?.(partition)
  readonly appendedBytes = (): number => this.#stage?.appendedBytes?.() ?? 0

  async start(): Promise<void> {
    const stage = await makeStage(this.name, this.#context)
    stage.failed?.catch(this.#failure.reject)
    await stage.component.start()
    this.#stage = stage
  }

  async stop(): Promise<void> {
    await this.#stage?.component.stop()
    await this.#stage?.close?.()
  }

  async health(): Promise<HealthReport> {
    return this.#stage === undefined ? notStarted : this.#context.health.read()
  }

  async metrics(): Promise<object[]> {
    this.#stage?.measure?.()
    return stageMetrics(this.name, this.#context.metrics)
  }
}
