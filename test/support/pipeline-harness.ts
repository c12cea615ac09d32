import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Assembler, assemblerConfigSchema, factInterest, sliceReader } from '@winnow/assembler'
import { type Bus, type TopicSpec, topicSpecs } from '@winnow/bus'
import { ColdHashers, FileColdKeys } from '@winnow/privacy'
import { Query, queryConfigSchema } from '@winnow/query'
import { createReceiver, type Receiver, receiverConfigSchema } from '@winnow/receiver'
import {
  type Component,
  createLog,
  Health,
  Metrics,
  type StageClock,
  scopes,
} from '@winnow/runtime'
import {
  createSampler,
  defaultPolicy,
  parsePolicy,
  policyColumns,
  samplerConfigSchema,
} from '@winnow/sampler'
import {
  FileBlobStore,
  MemoryBlobStore,
  MemoryHotStore,
  SqliteHotStore,
  type TraceBuffer,
} from '@winnow/storage'
import { apiKeysOf } from '@winnow/testing'
import { Writer, writerConfigSchema } from '@winnow/writer'
import { type GroupName, groupLag } from './group-lag.ts'

export const tenants = ['acme', 'globex'] as const

/** The secret of a tenant's clients; the pipeline is told its SHA-256 alone. */
export function keyOf(tenant: string): string {
  return `key-of-${tenant}`
}

/** Of somebody who also looks after what a tenant keeps. */
export function adminKeyOf(tenant: string): string {
  return `admin-key-of-${tenant}`
}

export interface HarnessOptions {
  readonly clock: StageClock
  /** Opens the bus with these topics, with files of its own in `folder` if it needs any. */
  readonly openBus: (specs: readonly TopicSpec[], folder: string) => Bus | Promise<Bus>
  /** `files`: SQLite and Parquet on disk; `memory`: neither; or what the test opens, which query reads back too. */
  readonly stores: 'files' | 'memory' | (() => Promise<Stores>)
  /** Of assembler and writer; whoever opened it closes it. None where absent. */
  readonly buffer?: TraceBuffer
  /** As in `winnow.yaml`; absent keys have their defaults. */
  readonly assembler?: Readonly<Record<'quiet' | 'rootless' | 'openMax' | 'clockSlack', string>>
  readonly segmentAge?: string
  readonly expireEvery?: string
  /** Text of a policy file; the default policy where absent. */
  readonly policy?: string
  /** Prefix of the topics; distinct runs on one broker need distinct ones. */
  readonly prefix?: string
  readonly partitions?: number
}

type Stores = Pick<ConstructorParameters<typeof Writer>[0], 'hot' | 'blobs'>

type Topics = Readonly<Record<'spans' | 'evidence' | 'decisions' | 'baselines' | 'control', string>>

/** All five stages of the pipeline in this process, as `winnow up` wires them, for two tenants. */
export class PipelineHarness {
  readonly bus: Bus
  readonly topics: Topics
  /** Holds `hot`, `blobs` and `keys`. */
  readonly folder: string
  readonly metrics = new Metrics()
  /** Lines of level error and warn: a run without trouble has none. */
  readonly complaints: string[] = []
  readonly #assembler: Assembler
  readonly #receiver: Receiver
  readonly #query: Query
  readonly #health = new Health()
  /** In flow order: they start from the last and stop from the first. */
  readonly #components: readonly Component[]
  readonly #close: () => Promise<void>
  #failure: unknown

  static async start(options: HarnessOptions): Promise<PipelineHarness> {
    const folder = mkdtempSync(join(tmpdir(), 'winnow-oracle-'))
    const { prefix = 'winnow', partitions = 6 } = options
    const specs = topicSpecs({ prefix, generation: 1, partitions })
    const bus = await options.openBus(Object.values(specs), join(folder, 'bus'))
    const stores =
      typeof options.stores === 'function'
        ? await options.stores()
        : options.stores === 'memory'
          ? { hot: new MemoryHotStore(), blobs: new MemoryBlobStore(options.clock) }
          : {
              hot: new SqliteHotStore(join(folder, 'hot')),
              blobs: await FileBlobStore.open(join(folder, 'blobs')),
            }
    const harness = new PipelineHarness(options, folder, bus, specs, stores)
    try {
      for (const component of harness.#components.toReversed()) await component.start()
      await harness.#ready()
      return harness
    } catch (error) {
      await harness.stop()
      throw error
    }
  }

  private constructor(
    options: HarnessOptions,
    folder: string,
    bus: Bus,
    specs: Readonly<Record<keyof Topics, TopicSpec>>,
    { hot, blobs }: Stores,
  ) {
    const { clock } = options
    this.folder = folder
    this.bus = bus
    this.topics = {
      spans: specs.spans.name,
      evidence: specs.evidence.name,
      decisions: specs.decisions.name,
      baselines: specs.baselines.name,
      control: specs.control.name,
    }
    const log = createLog(clock, line => {
      if (JSON.parse(line).level > infoLevel && !isToComeAgain(line)) {
        this.complaints.push(line.trim())
      }
    })
    const keys = apiKeysOf({
      ...Object.fromEntries(tenants.map(tenant => [keyOf(tenant), tenant])),
      ...Object.fromEntries(tenants.map(tenant => [adminKeyOf(tenant), { tenant, scopes }])),
    })
    const shared = { bus, topics: this.topics, clock, log, metrics: this.metrics }
    const buffer = options.buffer !== undefined && { buffer: options.buffer }
    const anyPort = { host: '127.0.0.1', port: 0 }
    const policy = options.policy === undefined ? defaultPolicy : parsePolicy(options.policy)
    const interest = factInterest(policyColumns(policy))
    this.#assembler = new Assembler({
      ...shared,
      config: assemblerConfigSchema.parse(options.assembler ?? {}),
      readSlices: sliceReader(() => interest),
      ...buffer,
    })
    this.#receiver = createReceiver({
      ...shared,
      listen: { grpc: anyPort, http: anyPort },
      keys,
      health: this.#health,
      config: receiverConfigSchema.parse({}),
    })
    const sampler = createSampler({
      ...shared,
      group: 'sampler',
      policy,
      health: this.#health,
      config: samplerConfigSchema.parse({}),
    })
    const writer = new Writer({
      ...shared,
      ...buffer,
      hot,
      blobs,
      hashers: new ColdHashers(new FileColdKeys(join(folder, 'keys'), randomBytes)),
      config: writerConfigSchema.parse({
        ...(options.segmentAge !== undefined && { segmentAge: options.segmentAge }),
        ...(options.expireEvery !== undefined && { expireEvery: options.expireEvery }),
      }),
    })
    this.#query = new Query({
      ...shared,
      hot,
      ...(typeof options.stores === 'function' && { blobs }),
      listen: anyPort,
      keys,
      config: queryConfigSchema.parse({}),
      spansRetentionMs: specs.spans.retentionMs,
      health: this.#health,
      pending: async (tenant, traceId) => this.#assembler.pending(tenant, traceId),
    })
    this.#components = [this.#receiver, this.#assembler, sampler, writer, this.#query]
    for (const { failed } of [this.#assembler, sampler, writer]) {
      failed.catch((error: unknown) => {
        this.#failure ??= error
      })
    }
    this.#close = async () => {
      await hot.close()
      await blobs.close()
      await bus.close()
    }
  }

  get addresses(): Readonly<Record<'otlpGrpc' | 'otlpHttp' | 'api', string>> {
    const { grpcAddress, httpAddress } = this.#receiver
    return { otlpGrpc: grpcAddress, otlpHttp: httpAddress, api: this.#query.address }
  }

  get openTraces(): number {
    return this.#assembler.openTraces
  }

  /**
   * Waits until each stage has done all that lies in the log before it: spans, then evidence, then
   * decisions in the hot store and in segments. `tick` lets a little time pass. Throws with the
   * stages, partitions and offsets that are missing after `waitMs`, or with what a stage failed of.
   */
  async drained(tick: () => Promise<void>, waitMs: number): Promise<void> {
    const untilMs = Date.now() + waitMs
    for (const group of ['assembler', 'sampler', 'writer-hot', 'writer-segments'] as const) {
      for (;;) {
        this.throwIfFailed()
        const behind = await this.lag(group)
        if (behind.length === 0) break
        if (Date.now() > untilMs) {
          const complaints = this.complaints.slice(0, 5).join('\n')
          throw new Error(
            `${group} is behind after ${waitMs} ms: ${behind.join('; ')}\n${complaints}`,
          )
        }
        await tick()
      }
    }
  }

  lag(group: GroupName): Promise<readonly string[]> {
    return groupLag(this.bus, this.topics, group)
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Sum of a counter over the labels that are left out. */
  async counted(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const metric = await this.metrics.registry.getSingleMetric(name)?.get()
    if (metric === undefined) throw new Error(`there is no metric ${name}`)
    return metric.values
      .filter(one => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0)
  }

  async stop(): Promise<void> {
    for (const component of this.#components) await component.stop()
    await this.#close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #ready(): Promise<void> {
    for (const untilMs = Date.now() + 60_000; ; await sleep(20)) {
      this.throwIfFailed()
      const report = await this.#health.read()
      if (report.ready) return
      if (Date.now() > untilMs) throw new Error(`not ready: ${JSON.stringify(report)}`)
    }
  }
}

const infoLevel = 30

/** A client that was told to come again, as on a machine too busy for a sync in time, has done so. */
function isToComeAgain(line: string): boolean {
  return line.includes('"query.request_failed"') && line.includes('[BUS_UNAVAILABLE]')
}
