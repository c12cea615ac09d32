import { randomBytes } from 'node:crypto'
import { type BusRecord, MemoryBus } from '@winnow/bus'
import { blockAt, blockFlag, packSlice, type SliceFacts, spanBlockBytes } from '@winnow/model'
import { ManualClock, Metrics, silentLog } from '@winnow/runtime'
import { Baselines } from './baselines.ts'
import { BatchDecider, type DeciderShared } from './batch-decider.ts'
import { Ceilings } from './ceilings.ts'
import { defaultSamplerConfig } from './config.ts'
import { DecisionMetrics } from './decision-metrics.ts'
import { slice, summary, traceIdOf } from './fixtures.ts'
import { FleetSpend } from './fleet-spend.ts'
import { InFlight } from './in-flight.ts'
import { PartitionState } from './partition-state.ts'
import { defaultPolicy } from './policy-file.ts'
import { compilePolicy } from './rules.ts'
import { TraceLog } from './trace.fixture.ts'
import { VariantWatch } from './variant-watch.ts'

const spansPerTrace = 8
const batchTraces = 400
const nowMs = 1_716_370_870_000

/** Blocks of so many spans, base64, as an assembler writes them. */
function blocks(count: number, isFailing: boolean): string {
  const bytes = Buffer.alloc(count * spanBlockBytes)
  for (let at = 0; at < bytes.length; at += spanBlockBytes) {
    randomBytes(8).copy(bytes, at + blockAt.spanId)
    bytes.writeUInt32LE(randomBytes(4).readUInt32LE(), at + blockAt.opHash)
    bytes.writeUInt32LE(at, at + blockAt.startOffsetMs)
    bytes.writeUInt32LE(at % 5 === 0 ? 84 : 0, at + blockAt.inputTokens)
    bytes.writeUInt32LE(at % 5 === 0 ? 22 : 0, at + blockAt.outputTokens)
    bytes.writeDoubleLE(at % 5 === 0 ? 0.000071 : 0, at + blockAt.costUsd)
  }
  if (isFailing) bytes.writeUInt32LE(blockFlag.error, blockAt.flags)
  return bytes.toString('base64')
}

/** A summary of 8 spans in 4 slices, as an assembler writes it; a tenth of them fail. */
function summaryJson(n: number): string {
  const isFailing = n % 10 === 0
  const traceId = randomBytes(16).toString('hex')
  const startNs = `${BigInt(nowMs - 9_000 + (n % 1_000)) * 1_000_000n}`
  const endNs = `${BigInt(nowMs - 7_000 + (n % 1_000)) * 1_000_000n}`
  const packed = (at: number, spanCount: number, more: Partial<SliceFacts> = {}) => {
    const spans = blocks(spanCount, isFailing && at === 1)
    const ref = { partition: 7, offset: 1_000 + n * 4 + at, start: at * 917 }
    return packSlice({
      ref: { ...ref, length: spanCount * 1_700, spanCount },
      appendedAtMs: nowMs - 6_000,
      facts: { startNs, endNs, spans, services: ['refund-bot'], ...more },
    })
  }
  const durationMs = 1_500 + (n % 1_100)
  const spanId = '0100000000000000'
  const root = { spanId, service: 'refund-bot', name: 'refund_chat.turn', startNs, durationMs }
  return JSON.stringify({
    v: 1,
    kind: 'summary',
    tenant: 'default',
    traceId,
    reason: 'root',
    missingParents: 0,
    closedAtMs: nowMs - 1_000,
    slices: [
      packed(0, 3),
      packed(1, 2),
      packed(2, 2, {
        roots: [root],
        outcomes: [
          { name: 'citation', spanId, extracted: 2, supported: 2, unsupported: 0 },
          { name: 'outcome.policy_correct', spanId, passed: true },
        ],
        experiment: 'exp_prompt_terser_v3',
        variant: 'B',
      }),
      packed(3, 1, { outcomes: [{ name: 'judge', spanId, score: 1, label: 'policy_correct' }] }),
    ],
  })
}

const spends = new FleetSpend(new MemoryBus([], new ManualClock()), '')
const shared: DeciderShared = {
  topics: { evidence: 'evidence', decisions: 'decisions', baselines: '', control: '' },
  config: defaultSamplerConfig,
  log: silentLog,
  metrics: new Metrics(),
  figures: new DecisionMetrics(new Metrics(), new ManualClock()),
  baselines: new Baselines({ windowMs: 3_600_000, countMin: 500, keysMax: 2_000 }),
  spends,
  ceilings: new Ceilings(silentLog, new Metrics()),
  watch: new VariantWatch({ spends, log: silentLog, metrics: new Metrics(), everyMs: 1_000 }),
}

const policies = { live: compilePolicy(defaultPolicy), shadow: undefined }

/** One partition from evidence to decisions that were read back, without a bus. */
class Partition {
  decisionBytes = 0
  readonly #state = new PartitionState(defaultSamplerConfig, 7)
  readonly #inFlight = new InFlight()
  #offset = 0
  #seq = 0

  constructor() {
    this.#state.apply(this.#offset++, { v: 1, kind: 'claim', by: 'bench' })
  }

  decide(records: readonly BusRecord[]): number {
    const decider = new BatchDecider(shared, policies, {
      state: this.#state,
      partition: 0,
      inFlight: this.#inFlight,
    })
    decider.take(records, nowMs)
    let decided = 0
    for (let chunk = decider.nextChunk(); chunk.length > 0; chunk = decider.nextChunk()) {
      for (const group of chunk) {
        if (decider.needs(group) !== undefined) throw new Error('a trace was decided twice')
        const { value, outcome } =
          decider.decide(group, undefined, 0, ++this.#seq)?.pending ?? nothing()
        this.decisionBytes += value.length
        decided++
        if (!this.#state.apply(this.#offset++, outcome.decision)) throw new Error('does not count')
        shared.figures.counted(outcome)
      }
    }
    this.#inFlight.clear()
    return decided
  }
}

function nothing(): never {
  throw new Error('nothing was decided')
}

interface Measured {
  readonly tracesPerS: number
  readonly cpuPerMillionSpans: number
  readonly decisionBytes: number
}

let measured: Measured | undefined

/** A warm-up, then a hundred thousand traces that nobody has seen. */
function measure(): Measured {
  if (measured !== undefined) return measured
  const batches = Array.from({ length: 300 }, (_, batch): BusRecord[] =>
    Array.from({ length: batchTraces }, (__, at) => ({
      offset: batch * batchTraces + at,
      appendedAtMs: nowMs - 500,
      value: Buffer.from(summaryJson(batch * batchTraces + at)),
    })),
  )
  const partition = new Partition()
  for (const batch of batches.splice(0, 50)) partition.decide(batch)
  partition.decisionBytes = 0
  const startNs = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  let traces = 0
  for (const batch of batches) traces += partition.decide(batch)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = Number(process.hrtime.bigint() - startNs) / 1e9
  measured = {
    tracesPerS: traces / seconds,
    cpuPerMillionSpans: (user + system) / (traces * spansPerTrace),
    decisionBytes: partition.decisionBytes / traces,
  }
  return measured
}

/** Milliseconds of CPU of the longest of the 25 batches that a trace of 100,000 spans is decided in. */
function longestOfGiant(): number {
  const giant = () => {
    const log = new TraceLog({
      policy: policies.live,
      nowMs,
      spansRetentionMs: 86_400_000,
      isLaterSeries: false,
      wasKept: false,
      slowBar: () => ({ count: 0, key: '' }),
      variantUsed: () => 0,
    })
    let longestMs = 0
    for (let batch = 0; batch < 25; batch++) {
      const slices = Array.from({ length: 200 }, (_, at) => {
        const offset = batch * 200 + at
        return slice(
          offset,
          Array.from({ length: 20 }, (__, n) => ({ id: 1 + offset * 20 + n })),
        )
      })
      const before = process.threadCpuUsage()
      log.add(summary(traceIdOf(1), slices, { reason: 'spans' }))
      const { user, system } = process.threadCpuUsage(before)
      longestMs = Math.max(longestMs, (user + system) / 1_000)
    }
    if (log.last?.spanCount !== 100_000) throw new Error('not all spans were judged')
    return longestMs
  }
  giant()
  return giant()
}

export const benches = [
  {
    name: 'sampler: longest block of a trace of 100,000 spans',
    unit: 'CPU-ms',
    run: longestOfGiant,
  },
  {
    name: 'sampler: evidence to decisions that count, 8 spans in 4 slices',
    unit: 'traces/s',
    run: () => measure().tracesPerS,
  },
  {
    name: 'sampler: the same',
    unit: 'CPU-s a million spans',
    run: () => measure().cpuPerMillionSpans,
  },
  { name: 'sampler: size of a decision', unit: 'bytes', run: () => measure().decisionBytes },
]
