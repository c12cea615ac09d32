import { type Bus, MemoryBus, type NewRecord, topicSpecs } from '@winnow/bus'
import { type Decision, type DecisionRecord, type Evidence, unpackSlices } from '@winnow/model'
import { Health, type Log, ManualClock, Metrics, silentLog } from '@winnow/runtime'
import type { BlobStore } from '@winnow/storage'
import { defaultSamplerConfig, type SamplerConfig } from './config.ts'
import { slice } from './fixtures.ts'
import { defaultPolicy, type Policy } from './policy-file.ts'
import { createSampler, type Sampler } from './sampler.ts'

export const specs = topicSpecs({ prefix: 'test', generation: 1, partitions: 1 })
export const topics = {
  evidence: specs.evidence.name,
  decisions: specs.decisions.name,
  baselines: specs.baselines.name,
  control: specs.control.name,
}
export const hour = 3_600_000

/** A world of one partition: a bus, a clock and the samplers that a test starts. */
export class World {
  readonly clock = new ManualClock()
  readonly bus = new MemoryBus(Object.values(specs), this.clock)
  readonly samplers: Sampler[] = []
  metrics = new Metrics()

  constructor() {
    this.clock.advanceMs(1_000_000)
  }

  async start(
    options: {
      readonly bus?: Bus
      readonly group?: string
      readonly policy?: Policy
      readonly config?: Partial<SamplerConfig>
      readonly health?: Health
      readonly blobs?: BlobStore
      readonly log?: Log
    } = {},
  ): Promise<Sampler> {
    const sampler = createSampler({
      bus: options.bus ?? this.bus,
      topics,
      group: options.group ?? 'sampler',
      policy: options.policy ?? defaultPolicy,
      clock: this.clock,
      log: options.log ?? silentLog,
      metrics: this.metrics,
      health: options.health ?? new Health(),
      config: { ...defaultSamplerConfig, idleWait: 5, retryAfter: 1, ...options.config },
      ...(options.blobs !== undefined && { blobs: options.blobs }),
    })
    sampler.failed.catch(error => this.failures.push(error))
    this.samplers.push(sampler)
    await sampler.start()
    return sampler
  }

  readonly failures: unknown[] = []

  async write(...evidence: (Evidence | object)[]): Promise<void> {
    const records: NewRecord[] = evidence.map(record => ({
      value: Buffer.from(JSON.stringify(record)),
    }))
    await this.bus.append(topics.evidence, 0, records)
  }

  /** A slice of a `spans` record appended now. */
  slice(offset: number, ids: readonly number[], facts = {}) {
    const spans = ids.map(id => ({ id, inputTokens: 10 }))
    return slice(offset, spans, facts, this.clock.nowMs())
  }

  async decisions(): Promise<readonly (DecisionRecord & { readonly offset: number })[]> {
    const { records } = await this.bus.read(topics.decisions, 0, 0, 1e9, 0)
    return records.map(({ offset, value }) => ({
      offset,
      ...unpackSlices(JSON.parse(Buffer.from(value).toString()) as DecisionRecord),
    }))
  }

  /** Decisions on a trace, in log order. */
  async of(traceId: string): Promise<Decision[]> {
    const all = await this.decisions()
    return all.filter(
      (r): r is Decision & { offset: number } => r.kind === 'decision' && r.traceId === traceId,
    )
  }

  async isSettled(group = 'sampler'): Promise<boolean> {
    const { end } = await this.bus.bounds(topics.evidence, 0)
    const committed = await this.bus.committed(topics.evidence, group, 0)
    return end === (committed?.offset ?? 0)
  }

  /** Waits until all evidence is committed. */
  async settled(group = 'sampler'): Promise<void> {
    await until(() => this.isSettled(group))
  }

  /** Until the last claim names this version: from then on it decides. */
  async decidesWith(version: string): Promise<void> {
    await until(async () => {
      const claims = (await this.decisions()).filter(record => record.kind === 'claim')
      return claims.at(-1)?.policy === version
    })
  }

  async metric(line: string): Promise<string | undefined> {
    const text = await this.metrics.text()
    return text
      .split('\n')
      .find(row => row.startsWith(line))
      ?.split(' ')
      .at(-1)
  }
}

export async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  for (let turns = 0; turns < 5_000; turns++) {
    if (await isTrue()) return
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  throw new Error('never came true')
}
