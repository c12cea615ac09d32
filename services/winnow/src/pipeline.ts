import { readFileSync } from 'node:fs'
import { Assembler, sliceReader } from '@winnow/assembler'
import { type Bus, type TopicSpec, topicSpecs } from '@winnow/bus'
import { createReceiver, type Receiver } from '@winnow/receiver'
import {
  AdminServer,
  type Component,
  createLog,
  Health,
  type HealthPart,
  Metrics,
  PipelineError,
  systemClock,
} from '@winnow/runtime'
import { createSampler, defaultPolicy, type Policy, parsePolicy } from '@winnow/sampler'
import { BusLag } from './bus-lag.ts'
import { makeFolder } from './make-folder.ts'
import { openBus } from './open-bus.ts'
import type { Config } from './program-config.ts'
import { startError } from './start-error.ts'
import { mergedMetrics } from './threads/merged-metrics.ts'
import type { StageData } from './threads/messages.ts'
import { StageThread } from './threads/stage-thread.ts'

export interface Addresses {
  readonly otlpGrpc: string
  readonly otlpHttp: string
  readonly api: string
  readonly metrics: string
}

/** All five stages in one process: receiver to sampler on this thread, writer and query in one each. */
export class Pipeline implements Component {
  readonly #config: Config
  readonly #log = createLog(systemClock)
  readonly #metrics = new Metrics({ processMetrics: true })
  readonly #health = new Health()
  readonly #failure = Promise.withResolvers<never>()
  /** In flow order: they start from the last and stop from the first. */
  readonly #running: Component[] = []
  #bus: Bus | undefined
  #addresses: Addresses | undefined

  constructor(config: Config) {
    this.#config = config
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when a stage cannot go on: what was acknowledged is on the bus, so the process ends. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  get addresses(): Addresses {
    if (this.#addresses === undefined) throw new TypeError('the pipeline has not started')
    return this.#addresses
  }

  async start(): Promise<void> {
    const config = this.#config
    const policy = policyOf(config)
    makeFolder(config.data)
    const specs = topicSpecs({ ...config.topics, retentionMs: config.retention })
    const bus = await openBus(config, specs, this.#log)
    this.#bus = bus
    const topics = names(specs)
    const keys = config.keys === undefined ? undefined : new Map(Object.entries(config.keys))
    const shared = { bus, topics, clock: systemClock, log: this.#log, metrics: this.#metrics }
    const assembler = new Assembler({
      ...shared,
      config: config.assembler,
      readSlices: sliceReader(),
    })
    const data: StageData = { config, topics, keys }
    const thread = (name: 'writer' | 'query'): StageThread =>
      new StageThread({
        module: new URL(`./threads/${name}-thread.ts`, import.meta.url),
        data,
        bus,
        pending: (tenant, traceId) => assembler.pending(tenant, traceId),
      })
    const query = thread('query')
    const writer = thread('writer')
    const sampler = createSampler({
      ...shared,
      group: 'sampler',
      policy,
      health: this.#health,
      config: { ...config.sampler, spansRetention: config.retention.spans },
    })
    const lag = new BusLag(bus, topics, this.#metrics, config.bus === 'file')
    const receiver = createReceiver({
      ...shared,
      listen: { grpc: config.otlpGrpc, http: config.otlpHttp },
      keys,
      health: this.#health,
      // The file bus gathers by itself while the disk is busy: a timer would only add latency.
      config: { ...config.receiver, ...(config.bus === 'file' && { linger: 0 }) },
      lagging: () => lag.writerFraction,
    })
    for (const [name, stage] of Object.entries({ writer, query })) {
      this.#health.register(name, () => partOf(stage))
    }
    const admin = new AdminServer({
      listen: config.metrics,
      health: this.#health,
      metricsText: async () => {
        this.#metrics.openTraces.set(assembler.openTraces)
        await lag.measure()
        return mergedMetrics(this.#metrics, [writer, query])
      },
    })
    for (const stage of [assembler, sampler, writer, query])
      stage.failed.catch(this.#failure.reject)
    try {
      await this.#startAll([receiver, assembler, sampler, writer, query, lag, admin])
    } catch (error) {
      throw startError(error, config)
    }
    this.#addresses = addressesOf(receiver, query, admin)
  }

  /** Receivers first, so that what was acknowledged has time to move on; the bus last. */
  async stop(): Promise<void> {
    for (const component of this.#running.splice(0)) await component.stop()
    await this.#bus?.close()
    this.#bus = undefined
  }

  async #startAll(inFlowOrder: readonly Component[]): Promise<void> {
    for (const component of inFlowOrder.toReversed()) {
      await component.start()
      this.#running.unshift(component)
    }
  }
}

function policyOf({ policy }: Config): Policy {
  if (policy === undefined) return defaultPolicy
  let text: string
  try {
    text = readFileSync(policy, 'utf8')
  } catch (cause) {
    const reason = (cause as Error).message
    throw new PipelineError('CONFIG_INVALID', `policy: cannot read ${policy}: ${reason}`, { cause })
  }
  return parsePolicy(text, policy)
}

function names(
  specs: Readonly<Record<'spans' | 'evidence' | 'decisions' | 'baselines' | 'control', TopicSpec>>,
): Readonly<Record<'spans' | 'evidence' | 'decisions' | 'baselines' | 'control', string>> {
  return {
    spans: specs.spans.name,
    evidence: specs.evidence.name,
    decisions: specs.decisions.name,
    baselines: specs.baselines.name,
    control: specs.control.name,
  }
}

function addressesOf(receiver: Receiver, query: StageThread, admin: AdminServer): Addresses {
  return {
    otlpGrpc: receiver.grpcAddress,
    otlpHttp: receiver.httpAddress,
    api: query.address ?? '',
    metrics: admin.address,
  }
}

async function partOf(thread: StageThread): Promise<HealthPart> {
  const { ready, parts } = await thread.health()
  const wrong = Object.values(parts).find(part => !part.ready)
  return { ready, ...(wrong?.detail !== undefined && { detail: wrong.detail }) }
}
