import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countingStart, type PackedSlice, packSlice, spanBlockBytes } from '@winnow/model'
import { encodeTraces, type KeyValue, type Span } from '@winnow/otlp'
import { FileBlobStore, SqliteHotStore } from '@winnow/storage'
import type { Bench } from '@winnow/testing'
import { Abreast } from './abreast.ts'
import { noChain } from './chain.ts'
import { type FoldedRecord, foldRecords, parseRecord } from './decisions-reader.ts'
import { ForcedLease, type Positions, sharedBy } from './forced-lease.fixture.ts'
import { runHotGroup } from './hot-group.ts'
import { KeptReader, type KeptSpans, windowsOf } from './kept-reader.ts'
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
async function logged(keptEvery: number): Promise<Fixture> {
  const fixture = new Fixture()
  for (let first = 0; first < traces; first += tracesPerRecord) {
    const slices: PackedSlice[][] = Array.from({ length: tracesPerRecord }, () => [])
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

/** As large as the facts of its spans are. */
function withFacts({ ref, appendedAtMs }: PackedSlice): PackedSlice {
  const spanCount = spansPerTrace / slicesPerTrace
  const spans = Buffer.alloc(spanCount * spanBlockBytes, 7).toString('base64')
  const facts = { startNs: '1795244400000000000', endNs: '1795244402608000000', spans }
  return packSlice({
    ref: { ...ref, spanCount },
    appendedAtMs,
    facts: { ...facts, services: ['refund-bot'] },
  })
}

type Groups = 'hot' | 'segments' | 'both'

/** One pass over the log by new stores. */
async function pass(fixture: Fixture, groups: Groups): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'writer-bench-'))
  const hot = new SqliteHotStore(join(folder, 'hot'))
  const blobs = await FileBlobStore.open(join(folder, 'blobs'))
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  const shared = sharedBy({ ...fixture.options({ segmentAge: 60_000 }), hot, blobs })
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

/** CPU of the whole process: SQLite, files and the collector work on other threads too. */
async function cpuSecondsOf(work: () => void | Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** CPU-seconds a million received spans, after one pass to warm up. */
async function cost(
  keptEvery: number,
  work: (fixture: Fixture) => void | Promise<void>,
): Promise<number> {
  const fixture = await logged(keptEvery)
  await work(fixture)
  let spent = 0
  let passes = 0
  while (spent < 1) {
    spent += await cpuSecondsOf(() => work(fixture))
    passes++
  }
  return (spent / passes / (traces * spansPerTrace)) * 1e6
}

/** Decisions as both groups parse them, once. */
async function parseAll({ bus }: Fixture): Promise<FoldedRecord[]> {
  const { records } = await bus.read(decisionsTopic, 0, 0, Number.MAX_SAFE_INTEGER, 0)
  return foldRecords(records, countingStart, parseRecord, () => {})
}

/** The bodies of what is kept, read, decoded and packed. */
async function readAll(fixture: Fixture): Promise<void> {
  const { bus, log, clock } = fixture.options()
  const none = new Abreast(clock).shelf<string, Promise<KeptSpans>>(0)
  const kept = new KeptReader(new SliceReader(bus, spansTopic), none, log)
  const limits = { piecesMax: 500, bytesMax: 8 * 1024 * 1024 }
  const records = parsed.get(fixture) ?? (await parseAll(fixture))
  parsed.set(fixture, records)
  for await (const window of windowsOf(records, async () => noChain, limits)) {
    await kept.read(0, window)
  }
}

const parsed = new WeakMap<Fixture, FoldedRecord[]>()

const all = Number.POSITIVE_INFINITY

/**
 * The budget is 4 for hot and 5 for warm, cold and ledger. The two groups share what the first two rows
 * cost; the benches of `storage` have the rows of each store. Of a pass over new stores some 1 is
 * their making and removal.
 */
export const benches: Bench[] = [
  {
    name: 'writer: decisions parsed and folded',
    unit: 'CPU-s/M spans',
    run: () => cost(keptOf, async fixture => void (await parseAll(fixture))),
  },
  {
    name: 'writer: kept spans read, decoded, packed',
    unit: 'CPU-s/M spans',
    run: () => cost(keptOf, readAll),
  },
  {
    name: 'writer: hot alone, with the two above',
    unit: 'CPU-s/M spans',
    run: () => cost(keptOf, fixture => pass(fixture, 'hot')),
  },
  {
    name: 'writer: segments alone, with the two above',
    unit: 'CPU-s/M spans',
    run: () => cost(keptOf, fixture => pass(fixture, 'segments')),
  },
  {
    name: 'writer: both groups',
    unit: 'CPU-s/M spans',
    run: () => cost(keptOf, fixture => pass(fixture, 'both')),
  },
  {
    name: 'writer: segments, where all is dropped',
    unit: 'CPU-s/M spans',
    run: () => cost(all, fixture => pass(fixture, 'segments')),
  },
]
