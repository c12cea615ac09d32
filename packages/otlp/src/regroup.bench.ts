import { ByteSink } from './byte-sink.ts'
import { compileInterest } from './interest.ts'
import { Composer } from './regroup.ts'
import { spansPerSecond } from './scan.bench.ts'
import { scanTraces } from './scan.ts'
import { SpanTable } from './span-table.ts'

const none = compileInterest([])

function regroupBench(requestsAtOnce: number) {
  const table = new SpanTable()
  const sink = new ByteSink()
  const partitionOf = (bytes: Uint8Array, start: number) => (bytes[start + 15] as number) % 12
  const composer = new Composer(table, { partitionOf, hashSeed: 7 })
  let waiting = 0
  return spansPerSecond(request => {
    const from = table.length
    scanTraces(request, 0, request.length, table, none)
    const taken = composer.add(from, table.length, 0)
    if (++waiting === requestsAtOnce) {
      sink.length = 0
      composer.compose(sink)
      composer.clear()
      table.clear()
      waiting = 0
    }
    return taken
  })
}

export const benches = [
  {
    name: 'scan and regroup, each request alone',
    unit: 'spans/s',
    atLeast: 400_000,
    run: () => regroupBench(1),
  },
  {
    name: 'scan and regroup, eight requests gathered',
    unit: 'spans/s',
    atLeast: 400_000,
    run: () => regroupBench(8),
  },
]
