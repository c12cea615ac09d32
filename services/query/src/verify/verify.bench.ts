import process from 'node:process'
import { MemoryBus } from '@winnow/bus'
import { encodeTenantRuns, packSlice, spanBlockBytes } from '@winnow/model'
import { emptySpan, encodeTraces, type Span } from '@winnow/otlp'
import { ManualClock } from '@winnow/runtime'
import type { Bench } from '@winnow/testing'
import { droppedDecision } from '../dropped-decision.fixture.ts'
import { type LedgerReport, ReportBuilder } from './ledger-report.ts'
import { PartitionVerifier } from './partition-verifier.ts'
import { TenantSums } from './tenant-sums.ts'
import { stageGroups, verifyTopics } from './verify-topics.ts'

/** Spans of 1.7 KB, eight to a trace in one slice, ten slices to a record; every trace decided once. */
export const benches: Bench[] = [
  {
    name: 'verify, 8 spans a trace at 1.7 KB, bytes and decisions read',
    unit: 'spans/s',
    atLeast: 400_000,
    run: () => best(bus => verifyTopics({ bus, topics, slicesMax: traces })),
  },
  {
    name: 'verify as it keeps up, 8 spans a trace at 1.7 KB, what is decided unread',
    unit: 'spans/s',
    atLeast: 600_000,
    run: () => best(keptUp),
  },
]

const topics = { spans: 's', evidence: 'e', decisions: 'd' }

async function best(verify: (bus: MemoryBus) => Promise<LedgerReport>): Promise<number> {
  const bus = await filled()
  let perSecond = 0
  for (let round = 0; round < 3; round++) {
    const began = process.cpuUsage()
    const report = await verify(bus)
    const { user, system } = process.cpuUsage(began)
    if (!report.balanced || report.dropped !== traces * spansEach) {
      throw new Error(`not balanced: ${JSON.stringify(report)}`)
    }
    perSecond = Math.max(perSecond, report.received / ((user + system) / 1e6))
  }
  return perSecond
}

async function keptUp(bus: MemoryBus): Promise<LedgerReport> {
  const tenants = new TenantSums()
  const limits = { slicesMax: traces, overMax: 'slide', reads: 'undecided', seed: 1 } as const
  const options = { bus, topics, groups: stageGroups, tenants, ...limits }
  const verifier = new PartitionVerifier(options, 0)
  await verifier.advance()
  const builder = new ReportBuilder(tenants, undefined)
  await builder.add({ verifier, undecided: await verifier.settle() }, bus, topics.spans)
  return builder.build(false)
}

const traces = 10_000
const spansEach = 8
const slicesEach = 10

async function filled(): Promise<MemoryBus> {
  const clock = new ManualClock()
  clock.advanceMs(1_800_000_000_000)
  const specs = ['s', 'e', 'd'].map(name => ({
    name,
    partitions: 1,
    retentionMs: 1e12,
    keyed: false,
  }))
  const bus = new MemoryBus(specs, clock)
  await bus.append('d', 0, [{ value: Buffer.from('{"v":1,"kind":"claim","by":"bench"}') }])
  for (let record = 0; record < traces / slicesEach; record++) {
    const parts: Uint8Array[] = []
    const decisions: { readonly value: Uint8Array }[] = []
    let start = 0
    for (let at = 0; at < slicesEach; at++) {
      const trace = record * slicesEach + at
      const bytes = encodeTraces(tracesOf(trace))
      decisions.push({ value: decision(trace, record, start, bytes.length) })
      parts.push(bytes)
      start += bytes.length
    }
    const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: start }])
    await bus.append('s', 0, [{ value: Buffer.concat(parts), header }])
    await bus.append('d', 0, decisions)
  }
  return bus
}

const traceIdOf = (trace: number): string => (trace + 1).toString(16).padStart(32, '0')
const spanIdOf = (trace: number, span: number): string =>
  (trace * spansEach + span + 1).toString(16).padStart(16, '0')

function tracesOf(trace: number) {
  const none = { attributes: [], droppedAttributesCount: 0 }
  const spans: Span[] = Array.from({ length: spansEach }, (_, span) => ({
    ...emptySpan,
    traceId: traceIdOf(trace),
    spanId: spanIdOf(trace, span),
    name: 'chat gpt-4o',
    kind: 1,
    startTimeUnixNano: 1n,
    endTimeUnixNano: 2n,
    attributes: Array.from({ length: 15 }, (_unused, number) => ({
      key: `gen_ai.attribute.number.${number}`,
      value: { stringValue: 'x'.repeat(85) },
    })),
  }))
  const scopeSpans = [{ scope: { name: 's', version: '', ...none }, schemaUrl: '', spans }]
  return { resourceSpans: [{ resource: none, schemaUrl: '', scopeSpans }] }
}

function decision(trace: number, offset: number, start: number, length: number): Uint8Array {
  const blocks = Buffer.alloc(spansEach * spanBlockBytes)
  for (let span = 0; span < spansEach; span++) {
    blocks.write(spanIdOf(trace, span), span * spanBlockBytes, 'hex')
  }
  const rules = Array.from({ length: 8 }, (_, at) => ({
    name: `rule-number-${at}`,
    matched: at === 7,
    probability: 1,
    value: 0,
    threshold: 1,
  }))
  const slice = packSlice({
    ref: { partition: 0, offset, start, length, spanCount: spansEach },
    appendedAtMs: 1_800_000_000_000,
    facts: { startNs: '1', endNs: '2', spans: blocks.toString('base64'), services: ['service'] },
  })
  return droppedDecision({
    traceId: traceIdOf(trace),
    rules,
    spanCount: spansEach,
    rootSpanId: spanIdOf(trace, 0),
    sliceCount: 1,
    seq: trace + 1,
    slices: [slice],
  })
}
