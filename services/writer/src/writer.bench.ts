import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Slice } from '@winnow/model'
import { encodeTraces, type KeyValue, type Span } from '@winnow/otlp'
import { FileBlobStore, SqliteHotStore } from '@winnow/storage'
import type { Bench } from '@winnow/testing'
import { ChainReader } from './chain.ts'
import { flushesMax, parsedBytesMax } from './config.ts'
import { RecordParser } from './decisions-reader.ts'
import { ForcedLease, type Positions } from './forced-lease.fixture.ts'
import { Gate } from './gate.ts'
import { Gathered } from './gathered.ts'
import { runHotGroup } from './hot-group.ts'
import { HotPuts } from './hot-puts.ts'
import { IdIndexer } from './id-index.ts'
import { KeptReader } from './kept-reader.ts'
import { noteOf } from './position.ts'
import { runSegmentGroup } from './segment-group.ts'
import { SliceReader } from './slice-reader.ts'
import {
  decisionsTopic,
  Fixture,
  spanOf,
  spansTopic,
  text,
  traceIdOf,
  tracesOf,
  until,
} from './writer.fixture.ts'

// As measured at the design's load: 1.7 KB a span, 8 spans a trace in 4 slices, records of some
// 128 KiB that 32 traces share, one trace of five kept.
const traces = 6_400
const spansPerTrace = 8
const slicesPerTrace = 4
const tracesPerRecord = 32
const keptOf = 5

const question = 'i want refund for order 4481, it was late by 2 weeks. '
const answer = 'You are eligible for a refund of ₹1,250 on order 4481, as a courtesy. '

function benchSpan(traceId: string, n: number): Span {
  const int = (key: string, value: number): KeyValue => ({
    key,
    value: { intValue: BigInt(value) },
  })
  return spanOf(traceId, n, {
    attributes: [
      text('gen_ai.system', 'anthropic'),
      text('gen_ai.operation.name', 'chat'),
      text('gen_ai.request.model', 'claude-3-5-sonnet-20241022'),
      int('gen_ai.usage.input_tokens', 1_870 + n),
      int('gen_ai.usage.output_tokens', 180 + n),
      { key: 'gen_ai.cost_usd', value: { doubleValue: 0.00831 } },
      text('gen_ai.response.id', `msg_${traceId.slice(24)}${n}`),
      text('session.id', `sess_${traceId.slice(20)}`),
      int('prompt.system_tokens', 420),
      text('prompt.composition_hash', `sha256:${traceId}`),
      text('http.route', '/v1/chat'),
      int('server.port', 443),
      text('gen_ai.prompt.0.content', question.repeat(12)),
      text('gen_ai.completion.0.content', answer.repeat(8)),
    ],
  })
}

/** Everything that a writer would find, in memory, so that what is measured is the writer. */
export async function logged(keptEvery: number): Promise<Fixture> {
  const fixture = new Fixture()
  for (let first = 0; first < traces; first += tracesPerRecord) {
    const slices: Slice[][] = Array.from({ length: tracesPerRecord }, () => [])
    for (let part = 0; part < slicesPerTrace; part++) {
      const record = await fixture.slices(
        slices.map((_, n) => sliceBytes(traceIdOf(first + n), part)),
      )
      for (const [n, slice] of record.entries()) slices[n]?.push(withFacts(slice))
    }
    for (const [n, own] of slices.entries()) {
      const verdict = (first + n) % keptEvery === 0 ? 'keep' : 'drop'
      await fixture.decide(traceIdOf(first + n), { slices: own, verdict })
    }
  }
  return fixture
}

function sliceBytes(traceId: string, part: number): Uint8Array {
  const perSlice = spansPerTrace / slicesPerTrace
  const own = Array.from({ length: perSlice }, (_, at) => benchSpan(traceId, part * perSlice + at))
  return encodeTraces(tracesOf(own))
}

/** As large as the facts of two spans are. */
function withFacts(slice: Slice): Slice {
  const spans = Buffer.alloc(2 * 36, 7).toString('base64')
  const facts = { startNs: '1795244400000000000', endNs: '1795244402608000000', spans }
  return { ...slice, facts: { ...facts, services: ['refund-bot'] } }
}

type Groups = 'hot' | 'segments' | 'both'

/** One pass over the log by new stores. */
export async function pass(fixture: Fixture, groups: Groups): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'writer-bench-'))
  const hot = new SqliteHotStore(join(folder, 'hot'))
  const blobs = await FileBlobStore.open(join(folder, 'blobs'))
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  const options = { ...fixture.options({ segmentAge: 60_000 }), hot, blobs }
  const { config, log } = options
  const shared = {
    ...options,
    decisions: decisionsTopic,
    kept: new KeptReader(new SliceReader(options.bus, spansTopic), config.keptCache, log),
    hotPuts: new HotPuts(hot, options.clock, config.hotBatchBytes),
    chains: new ChainReader(options.bus, decisionsTopic, options.log),
    parser: new RecordParser(parsedBytesMax),
    gathered: new Gathered(config.gatheredBytes),
    flushes: new Gate(flushesMax),
    ids: new IdIndexer({ ...options, ended: new AbortController().signal }),
    stopping: new AbortController().signal,
  }
  const run = async (fold: typeof runHotGroup | typeof runSegmentGroup): Promise<void> => {
    const positions: Positions = { committed: { offset: 0, note: noteOf({ claim: -1, next: 1 }) } }
    const lease = new ForcedLease(fixture, positions)
    const done = fold(lease, shared)
    await until('all is committed', () => positions.committed?.offset === end)
    lease.lose()
    await done
  }
  try {
    await Promise.all([
      groups === 'segments' ? undefined : run(runHotGroup),
      groups === 'hot' ? undefined : run(runSegmentGroup),
    ])
  } finally {
    await hot.close()
    rmSync(folder, { recursive: true })
  }
}

/** `units` a pass, per second of the whole process's CPU: SQLite and files work on other threads too. */
async function rate(groups: Groups, keptEvery: number, units: number): Promise<number> {
  const fixture = await logged(keptEvery)
  const cpuSeconds = async (seconds: number): Promise<number> => {
    const before = process.cpuUsage()
    let passes = 0
    for (;;) {
      await pass(fixture, groups)
      passes++
      const { user, system } = process.cpuUsage(before)
      const spent = (user + system) / 1e6
      if (spent >= seconds) return passes / spent
    }
  }
  await cpuSeconds(0.3)
  return (await cpuSeconds(1)) * units
}

const keptSpans = (traces / keptOf) * spansPerTrace

/** The budget is 9 CPU-seconds a million received spans for both groups: 111 k spans/s. */
export const benches: Bench[] = [
  {
    name: 'writer: hot, SQLite, of kept',
    unit: 'spans/s',
    run: () => rate('hot', keptOf, keptSpans),
  },
  {
    name: 'writer: warm, cold, ledger, of kept',
    unit: 'spans/s',
    run: () => rate('segments', keptOf, keptSpans),
  },
  {
    name: 'writer: both groups, of received',
    unit: 'spans/s',
    run: () => rate('both', keptOf, traces * spansPerTrace),
  },
  {
    name: 'writer: ledger of drops',
    unit: 'decisions/s',
    run: () => rate('segments', Number.POSITIVE_INFINITY, traces),
  },
]
