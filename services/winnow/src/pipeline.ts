import { type Bus, type TopicSpec, topicSpecs } from '@winnow/bus'
import { writePreviousFormats } from '@winnow/model'
import { overrideLevels } from '@winnow/privacy'
import {
  AdminServer,
  type Component,
  createLog,
  Metrics,
  PipelineError,
  systemClock,
} from '@winnow/runtime'
import { AggregatorRegistry } from 'prom-client'
import { BusLag } from './bus-lag.ts'
import { measureDisk } from './disk-space.ts'
import { type Entrance, openEntrance } from './entrance.ts'
import { openBus } from './open-bus.ts'
import { healthOf } from './pipeline-health.ts'
import { Pressure } from './pressure.ts'
import { busProbe } from './probe.ts'
import type { Config } from './program-config.ts'
import { LocalStage } from './stages/local-stage.ts'
import type { RunningStage } from './stages/running-stage.ts'
import { type Addresses, type StageName, stageNames, type Topics } from './stages/stage.ts'
import { processMetrics } from './stages/stage-metrics.ts'
import { startError } from './start-error.ts'
import { StageThread } from './threads/stage-thread.ts'

/** Beside others they run in a thread each: SQLite and Parquet block for hundreds of milliseconds. */
const blocking: ReadonlySet<StageName> = new Set(['writer', 'query'])

/** What answers whether the bus is there: a topic that the first stage uses anyway. */
const probedTopic: Readonly<Record<StageName, keyof Topics>> = {
  receiver: 'spans',
  assembler: 'spans',
  sampler: 'evidence',
  writer: 'decisions',
  query: 'decisions',
}

/** Stages of the pipeline in one process, all five or one, with the bus and the admin server they need. */
export class Pipeline implements Component {
  readonly #config: Config
  readonly #names: readonly StageName[]
  readonly #log = createLog(systemClock)
  readonly #failure = Promise.withResolvers<never>()
  /** In flow order: they start from the last and stop from the first. */
  readonly #running: Component[] = []
  #bus: Bus | undefined
  #entrance: Entrance | undefined
  #addresses: Addresses | undefined

  /** CONFIG_INVALID for a part of the stages on the file bus, which belongs to one process. */
  constructor(config: Config, names: readonly StageName[] = stageNames) {
    if (config.bus === 'file' && names.length < stageNames.length) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `bus is file, which belongs to one process: run \`winnow up\`, or give \`winnow ${names.join(' ')}\` a bus that processes share: bus: kafka://HOST:PORT`,
      )
    }
    this.#config = config
    this.#names = names
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
    writePreviousFormats(config.formats === 'previous')
    overrideLevels(config.levels)
    const metrics = new Metrics({ processMetrics: true })
    const entrance = openEntrance(config, { clock: systemClock, log: this.#log, metrics })
    this.#entrance = entrance
    const specs = topicSpecs({ ...config.topics, retentionMs: config.retention })
    const bus = await openBus(config, specs, this.#log, this.#names.length > 1)
    this.#bus = bus
    const topics = namesOf(specs)
    const lag = new BusLag(bus, topics, metrics, this.#names, config.retention)
    const { stages, pressure } = this.#stages(bus, topics, metrics, entrance)
    for (const stage of stages) stage.failed.catch(this.#failure.reject)
    const admin = new AdminServer({
      listen: config.metrics,
      ...(entrance.tls !== undefined && { tls: entrance.tls }),
      health: healthOf(stages, busProbe(bus, topics[probedTopic[this.#names[0] ?? 'receiver']])),
      metricsText: async () => {
        await Promise.all([lag.measure(), measureDisk(config.data, metrics)])
        const parts = [processMetrics(metrics), ...stages.map(stage => stage.metrics())]
        return AggregatorRegistry.aggregate((await Promise.all(parts)) as never).metrics()
      },
    })
    try {
      await this.#startAll([...pressure, ...stages, admin])
    } catch (error) {
      throw startError(error, config)
    }
    this.#addresses = Object.assign({}, ...stages.map(stage => stage.addresses), {
      metrics: admin.address,
    })
  }

  /** Receivers first, so that what was acknowledged has time to move on; the bus last. */
  async stop(): Promise<void> {
    for (const component of this.#running.splice(0)) await component.stop()
    await this.#bus?.close()
    this.#bus = undefined
    this.#entrance?.close()
  }

  /** In flow order. */
  #stages(
    bus: Bus,
    topics: Topics,
    metrics: Metrics,
    { keys, tls }: Entrance,
  ): { readonly stages: readonly RunningStage[]; readonly pressure: readonly Pressure[] } {
    const config = this.#config
    const data = { config, topics }
    const local = new Map<StageName, LocalStage>()
    const pressure =
      config.bus === 'file' ? pressureOf(config, bus, topics, metrics, local) : undefined
    const stages = this.#names.map(name => {
      const assembler = local.get('assembler')
      if (this.#names.length > 1 && blocking.has(name)) {
        return new StageThread(name, {
          ...data,
          bus,
          ...(assembler !== undefined && { pending: assembler.pending }),
        })
      }
      const stage = new LocalStage(name, {
        ...data,
        bus,
        keys,
        tls,
        log: this.#log,
        ...(pressure !== undefined && { lagging: () => pressure.value }),
      })
      local.set(name, stage)
      return stage
    })
    return { stages, pressure: pressure === undefined ? [] : [pressure] }
  }

  async #startAll(inFlowOrder: readonly Component[]): Promise<void> {
    for (const component of inFlowOrder.toReversed()) {
      await component.start()
      this.#running.unshift(component)
    }
  }
}

/** Of the stages of the whole pipeline, once they are there. */
function pressureOf(
  config: Config,
  bus: Bus,
  topics: Topics,
  metrics: Metrics,
  stages: ReadonlyMap<StageName, LocalStage>,
): Pressure {
  return new Pressure({
    bus,
    topics,
    metrics,
    ringBytes: config.file.ring,
    nowMs: () => performance.now(),
    appendedBytes: () => stages.get('receiver')?.appendedBytes() ?? 0,
    assembled: partition => stages.get('assembler')?.position(partition),
    decided: partition => stages.get('sampler')?.position(partition),
  })
}

function namesOf(specs: Readonly<Record<keyof Topics, TopicSpec>>): Topics {
  return {
    spans: specs.spans.name,
    evidence: specs.evidence.name,
    decisions: specs.decisions.name,
    baselines: specs.baselines.name,
    control: specs.control.name,
  }
}
