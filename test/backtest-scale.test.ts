// A backtest of many decisions in one pass, in segments that the writer's own code writes. What it holds
// in memory must not depend on how many there are:
//
//   DECISIONS=1000000 nice -n 10 vitest run --project e2e test/backtest-scale.test.ts    (a minute or two, 1 GB of disk)

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryBus } from '@winnow/bus'
import type { Decision } from '@winnow/model'
import { systemClock } from '@winnow/runtime'
import {
  type BacktestReport,
  backtest,
  defaultPolicy,
  type Flip,
  parsePolicy,
} from '@winnow/sampler'
import { FileBlobStore, ledgerRow, writeSegment } from '@winnow/storage'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ordinaryDecision } from './support/ordinary-decision.ts'

const count = Number(process.env.DECISIONS ?? 40_000)
const perSegment = 10_000
const partitions = 4
/** Every tenth trace is decided again, when a CSAT of 3 comes. */
const againEvery = 10
const heapGrowthMax = 400 * 1024 * 1024

const startMs = Math.floor(systemClock.nowMs() / 86_400_000) * 86_400_000 - 5 * 86_400_000
const bus = new MemoryBus(
  [{ name: 'd', partitions, retentionMs: 3_600_000, keyed: false }],
  systemClock,
)

let folder: string
let blobs: FileBlobStore

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'winnow-backtest-scale-'))
  blobs = await FileBlobStore.open(join(folder, 'blobs'))
  for (let partition = 0; partition < partitions; partition++) await writePartition(partition)
}, 1_800_000)

afterAll(async () => {
  await blobs.close()
  await rm(folder, { recursive: true, force: true })
})

/** As many decisions as its part; a trace's second revision lies some thousand decisions after its first. */
async function writePartition(partition: number): Promise<void> {
  const size = count / partitions
  const logId = await bus.logId('d')
  const waiting: number[] = []
  let trace = 0
  const next = (offset: number): Decision => {
    const due = waiting[0]
    if (due !== undefined && waiting.length > 300) {
      waiting.shift()
      return decision(partition, due, 2, offset)
    }
    trace++
    if (trace % againEvery === 0) waiting.push(trace)
    return decision(partition, trace, 1, offset)
  }
  for (let a = 0; a < size; a += perSegment) {
    const rows = Array.from({ length: Math.min(perSegment, size - a) }, (_, at) =>
      ledgerRow(next(a + at), partition, a + at),
    )
    const metadata = {
      v: 1,
      tier: 'ledger',
      partition,
      logId,
      a,
      b: a + rows.length - 1,
      after: { claim: 0, next: a + rows.length + 1 },
      rows: { ledger: rows.length, warm: 0, cold: 0 },
      digest: 'd'.repeat(64),
    } as const
    await writeSegment(blobs, decidedAt(a), metadata, { tier: 'ledger', rows })
  }
}

const decidedAt = (offset: number): number =>
  startMs + Math.floor((offset / count) * partitions * 4 * 86_400_000)

/** R is spread evenly over the traces. */
function traceIdOf(partition: number, trace: number): string {
  const random = Math.imul(trace * partitions + partition + 1, 0x9e3779b1) >>> 0
  const low = (random % 256).toString(16).padStart(6, '0')
  return `${partition.toString(16)}${trace.toString(16).padStart(17, 'a')}${random.toString(16).padStart(8, '0')}${low}`
}

function decision(partition: number, trace: number, revision: number, offset: number): Decision {
  const decidedAtMs = decidedAt(offset)
  const traceId = traceIdOf(partition, trace)
  const isKept = traceId.slice(18) >= 'e6666666666666'
  return {
    ...ordinaryDecision({
      traceId,
      partition,
      offset,
      decidedAtMs,
      durationMs: 812,
      verdict: isKept ? 'keep' : 'drop',
    }),
    revision,
    rules: [
      { name: 'span-error', matched: false, probability: 1, value: 0, threshold: 0 },
      { name: 'slow', matched: false, probability: 1, value: 812, threshold: 2_608 },
      { name: 'ordinary', matched: true, probability: 0.1 },
    ],
    policyVersion: defaultPolicy.version,
    cause: revision === 1 ? 'completed' : 'evaluation',
    write: isKept && revision === 1 ? [0] : [],
    evaluations:
      revision === 1 ? [] : [{ id: `${traceId}.c`, name: 'csat', score: 3, effect: 'applied' }],
  }
}

test(`${count} decisions are judged in one pass, and memory does not grow with them`, async () => {
  const policy = parsePolicy(`
version: next
rules:
  - { kind: low-csat, atMost: 3 }
  - kind: slow
  - { kind: ordinary, probability: 0.05 }
`)
  const before = process.memoryUsage().heapUsed
  let heap = 0
  let flips = 0
  const kinds = new Map<string, number>()
  const onFlip = ({ before: was, after, afterRule }: Flip): void => {
    flips++
    const kind = `${was} to ${after} by ${afterRule}`
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  const report: BacktestReport = await backtest({
    bus,
    topic: 'd',
    blobs,
    policy,
    sinceMs: startMs,
    inForce: [{ atMs: startMs, policy: defaultPolicy }],
    known: version => (version === defaultPolicy.version ? defaultPolicy : undefined),
    onFlip,
    onProgress: () => {
      heap = Math.max(heap, process.memoryUsage().heapUsed - before)
    },
    nowMs: () => performance.now(),
  })
  const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`
  console.log(
    `${report.decisions} decisions, ${report.traces} traces in ${(report.tookMs / 1000).toFixed(1)} s; heap grew by ${mib(heap)} at most; ${[...kinds].map(([kind, n]) => `${n} ${kind}`).join(', ')}`,
  )
  expect(report.decisions).toBe(count)
  const again = report.decisions - report.traces
  const { kept, rules, knownBad } = report
  expect(again).toBeGreaterThan(0.05 * count)
  expect(rules.find(({ rule }) => rule === 'low-csat')?.after.traces).toBe(again)
  // One in ten by chance before, one in twenty beside those with a CSAT of 3 now.
  expect(kept.before.share).toBeGreaterThan(0.095)
  expect(kept.before.share).toBeLessThan(0.105)
  const wanted = again + 0.05 * (report.traces - again)
  expect(Math.abs(kept.after.traces / wanted - 1)).toBeLessThan(0.02)
  expect(flips).toBe(report.flips.toKeep + report.flips.toDrop)
  expect(knownBad).toMatchObject({ source: 'outcomes', found: 0, lost: 0 })
  expect(heap).toBeLessThan(heapGrowthMax)
}, 1_800_000)
