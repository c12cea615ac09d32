import { encodeTenantRuns } from '@winnow/model'
import { ByteSink, Composer, noInterest, SpanTable, scanTraces, tenantRunsOf } from '@winnow/otlp'
import { agentRequest } from '../../../packages/otlp/src/scan.bench.ts'
import { sliceReader } from './read-slices.ts'

interface ReadRecord {
  readonly value: Uint8Array
  readonly header: Uint8Array
}

/** Requests as the receiver lays them out: of each, the slices of 64 traces in a record a partition. */
function records(requests: number): ReadRecord[] {
  const table = new SpanTable()
  const composer = new Composer(table, {
    hashSeed: 7,
    partitionOf: (bytes, start) => (bytes[start + 15] as number) % 12,
  })
  for (let seed = 1; seed <= requests; seed++) {
    const request = agentRequest(seed)
    const from = table.length
    scanTraces(request, 0, request.length, table, noInterest)
    composer.add(from, table.length, 0)
  }
  const sink = new ByteSink()
  composer.compose(sink)
  const { layout } = composer
  return Array.from({ length: layout.records }, (_, record) => {
    const start = layout.recordStart[record] as number
    const end = start + (layout.recordLength[record] as number)
    const header = encodeTenantRuns(tenantRunsOf(layout, record, () => 'default'))
    return { value: sink.bytes.subarray(start, end), header }
  })
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

export const benches = [
  {
    name: 'scan records, facts of each slice packed',
    unit: 'spans/s',
    atLeast: 350_000,
    run: () => {
      const read = sliceReader()
      const all = records(8)
      let bytes = 0
      const runFor = (ms: number): number => {
        let spans = 0
        const from = cpuMs()
        while (cpuMs() - from < ms) {
          for (const { value, header } of all) {
            for (const slice of read(value, header)) {
              spans += slice.spanCount
              bytes += slice.facts.length
            }
          }
        }
        return (spans * 1000) / (cpuMs() - from)
      }
      runFor(500)
      const rate = runFor(1000)
      return bytes > 0 ? rate : 0
    },
  },
]
