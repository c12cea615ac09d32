import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { encodeTenantRuns } from '@winnow/model'
import { ByteSink, Composer, noInterest, SpanTable, scanTraces, tenantRunsOf } from '@winnow/otlp'
import { agentRequest, tracesPerRequest } from '../../../packages/otlp/src/scan.bench.ts'
import { assemblerConfigSchema } from './config.ts'
import { PartitionFold, type ReadSlice } from './partition-fold.ts'
import { sliceReader } from './read-slices.ts'
import { summaryJson } from './summary-json.ts'

interface ReadRecord {
  readonly value: Uint8Array
  readonly header: Uint8Array
}

const services = 4
const spansPerTrace = 8

/**
 * Requests as four services send them: 64 traces of 8 spans in 4 slices, each service's spans in a
 * record of its own.
 */
function waves(seed: number): ReadRecord[] {
  const request = agentRequest(seed)
  return Array.from({ length: services }, (_, service) => {
    const table = new SpanTable()
    const composer = new Composer(table, { hashSeed: 7, partitionOf: () => 0 })
    scanTraces(request, 0, request.length, table, noInterest)
    const rows = table.length / services
    composer.add(service * rows, (service + 1) * rows, 0)
    const sink = new ByteSink()
    composer.compose(sink)
    const { layout } = composer
    const start = layout.recordStart[0] as number
    const length = layout.recordLength[0] as number
    const header = encodeTenantRuns(tenantRunsOf(layout, 0, () => 'default'))
    return { value: Buffer.from(sink.bytes.subarray(start, start + length)), header }
  })
}

/** The slices of a record as if they were of other traces: generating each request costs far more. */
function* renamed(slices: Iterable<ReadSlice>, round: number): Iterable<ReadSlice> {
  for (const slice of slices) yield { ...slice, trace3: round }
}

class Feed {
  readonly #records = [1, 2, 3, 4].map(waves)
  readonly #read = sliceReader()
  #round = 0
  #offset = 0

  /** Opens 64 traces, all at once, at `atMs`. */
  open(fold: PartitionFold, atMs: number): void {
    const round = this.#round++
    for (const { value, header } of this.#records[round % this.#records.length] as ReadRecord[]) {
      fold.apply(this.#offset++, atMs, renamed(this.#read(value, header), round))
    }
  }
}

function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let n = 0; n < 3; n++) gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

export const benches = [
  {
    name: 'open traces of 8 spans in 4 slices',
    unit: 'traces/MiB',
    // 10 MiB for 10,000 of them.
    atLeast: 1000,
    run: () => {
      const feed = new Feed()
      const fold = new PartitionFold(assemblerConfigSchema.parse({}), 0)
      const openTo = (traces: number): number => {
        while (fold.openCount < traces) feed.open(fold, 0)
        return usedBytes()
      }
      const before = openTo(50_000)
      return (100_000 * 2 ** 20) / (openTo(150_000) - before)
    },
  },
  {
    name: 'records to summaries, 8 spans in 4 slices',
    unit: 'spans/s',
    // The goal is 455,000: 1.2 CPU-seconds for a million spans, and 1 for their summaries.
    atLeast: 250_000,
    run: () => {
      const feed = new Feed()
      const fold = new PartitionFold(assemblerConfigSchema.parse({}), 0)
      let bytes = 0
      let atMs = 0
      // In step as in production: what opened five seconds ago closes while as much opens.
      const runFor = (ms: number): number => {
        let spans = 0
        const from = cpuMs()
        while (cpuMs() - from < ms) {
          atMs += 20
          feed.open(fold, atMs)
          spans += tracesPerRequest * spansPerTrace
          for (const closed of fold.closed)
            bytes += Buffer.from(summaryJson(0, fold, closed)).length
          fold.acknowledge(fold.closed.length)
        }
        return (spans * 1000) / (cpuMs() - from)
      }
      runFor(1500)
      const rate = runFor(2000)
      return bytes > 0 ? rate : 0
    },
  },
]
