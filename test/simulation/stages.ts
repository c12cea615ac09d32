import {
  Assembler,
  type AssemblerConfig,
  assemblerConfigSchema,
  sliceReader,
} from '@winnow/assembler'
import { ColdHashers, MemoryColdKeys } from '@winnow/privacy'
import { type Component, Health, type Log } from '@winnow/runtime'
import { createSampler, type SamplerConfig, samplerConfigSchema } from '@winnow/sampler'
import { Writer, type WriterConfig, writerConfigSchema } from '@winnow/writer'
import type { SimulatedGroups } from './groups.ts'
import type { Instance } from './instance.ts'
import { policies } from './policies.ts'
import { SimulatedBus } from './simulated-bus.ts'
import { SimulatedBlobStore, SimulatedHotStore, SimulatedTraceBuffer } from './simulated-stores.ts'

export interface Running {
  readonly component: Component
  readonly failed: Promise<never>
  /** Of a sampler: puts another of the run's policies in force. */
  readonly reload?: (policy: number) => void
}

const assemblerDefaults = assemblerConfigSchema.parse({})
const samplerDefaults = samplerConfigSchema.parse({})
const writerDefaults = writerConfigSchema.parse({})

/** The real code of a stage, with the world as its instance sees it. Limits are small and by chance. */
export function runStage(instance: Instance, groups: SimulatedGroups): Running {
  const { world, clock } = instance
  const shared = {
    bus: new SimulatedBus(instance, groups),
    clock,
    log: logOf(instance),
    metrics: world.metrics,
  }
  switch (instance.stage) {
    case 'assembler': {
      const { spans, evidence } = world.specs
      const assembler = new Assembler({
        ...shared,
        topics: { spans: spans.name, evidence: evidence.name },
        config: assemblerConfig(instance),
        readSlices: sliceReader(),
        ...(world.random.chance(0.8) && { buffer: new SimulatedTraceBuffer(instance) }),
      })
      return { component: assembler, failed: assembler.failed }
    }
    case 'sampler': {
      const { evidence, decisions, baselines, control } = world.specs
      const sampler = createSampler({
        ...shared,
        topics: {
          evidence: evidence.name,
          decisions: decisions.name,
          baselines: baselines.name,
          control: control.name,
        },
        group: 'sampler',
        policy: (policies[0] as (typeof policies)[0]).policy,
        health: new Health(),
        config: samplerConfig(instance),
        by: instance.id,
        ...(world.random.chance(0.8) && { blobs: new SimulatedBlobStore(instance) }),
      })
      const reload = (policy: number): void => {
        const next = policies[policy]
        if (next !== undefined) sampler.usePolicy(next.policy)
      }
      return { component: sampler, failed: sampler.failed, reload }
    }
    case 'writer': {
      const { spans, decisions } = world.specs
      const writer = new Writer({
        ...shared,
        topics: { spans: spans.name, decisions: decisions.name },
        hot: new SimulatedHotStore(instance),
        blobs: new SimulatedBlobStore(instance),
        hashers: new ColdHashers(new MemoryColdKeys(bytes => new Uint8Array(bytes).fill(7))),
        // Every fourth seed, by its number: the others are the runs that they were.
        ...(world.seed % 4 === 1 && { buffer: new SimulatedTraceBuffer(instance) }),
        config: writerConfig(instance),
      })
      return { component: writer, failed: writer.failed }
    }
  }
}

function assemblerConfig({ world }: Instance): AssemblerConfig {
  const { random } = world
  return {
    ...assemblerDefaults,
    maxSpans: random.pick([4, 4000, 4000]),
    maxRefs: random.pick([2, 256, 256]),
    maxOpen: random.pick([3, 200_000, 200_000]),
  }
}

function samplerConfig({ world }: Instance): SamplerConfig {
  const snapshotEvery = world.random.pick([10_000, 300_000])
  return { ...samplerDefaults, slowCountMin: 3, snapshotEvery }
}

function writerConfig({ world }: Instance): WriterConfig {
  const { random } = world
  return {
    ...writerDefaults,
    segmentAge: random.pick([5_000, 60_000]),
    segmentDecisions: random.int(1, 12),
    hotBatch: random.pick([1, 3, 500]),
    expireEvery: 3_600_000,
  }
}

/** Lines that must never be said: each means that something is wrong with what another stage wrote. */
const alarms = new Set([
  'assembler.unreadable_record',
  'sampler.evidence_malformed',
  'sampler.rule_threw',
  'writer.unreadable_decision',
  'writer.slice_set_aside',
  'writer.counts_unlike_ledger',
])

function logOf({ world, id }: Instance): Log {
  const say = (kind: string, fields: object = {}): void => {
    world.count(`said: ${kind}`)
    world.said.push({ kind, by: id, fields: { ...fields } })
    world.say?.(() => `${id}: says ${kind} ${JSON.stringify(fields)}`)
    if (alarms.has(kind)) world.violate('said', `${id}: ${kind} ${JSON.stringify(fields)}`)
  }
  return {
    info: say,
    warn: say,
    error: (kind, error, fields) => say(kind, { ...fields, error: String(error) }),
  }
}
