// What an open trace takes: resident memory at two numbers of open traces, whose root never comes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startWinnow } from '../winnow-process.ts'
import { startGenerator } from './generator-process.ts'
import { scrape } from './metrics-text.ts'
import type { LoadOptions } from './options.ts'
import { environment, type Ground } from './run.ts'
import { requestsPerGroup, spansPerTrace } from './shape.ts'
import { memoryMiB } from './usage.ts'

const fewTraces = 50_000
const manyTraces = 500_000
/** Until the collector has had its turn. */
const restMs = 5_000

export interface MemoryResult {
  readonly points: readonly Point[]
  readonly mibPerTenThousand: number
  readonly text: string
}

interface Point {
  readonly open: number
  readonly rssMiB: number
  readonly heapMiB: number
}

export async function measureMemory(options: LoadOptions, ground: Ground): Promise<MemoryResult> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-load-'))
  const never = {
    WINNOW_ASSEMBLER_QUIET: '1h',
    WINNOW_ASSEMBLER_ROOTLESS: '2h',
    WINNOW_ASSEMBLER_OPEN_MAX: '3h',
  }
  const winnow = await startWinnow({ env: { ...environment(options, folder, ground), ...never } })
  const generator = startGenerator()
  const points: Point[] = []
  try {
    for (const traces of [fewTraces, manyTraces]) {
      const more = traces - (points.at(-1)?.open ?? 0)
      const requests = requestsPerGroup - 1
      const { address, connections } = { address: winnow.otlpHttp, ...options }
      await generator.drive({ address, connections, requests, spans: more * spansPerTrace })
      await sleep(restMs)
      const metrics = await scrape(winnow.metrics)
      points.push({
        open: metrics.sum('winnow_open_traces'),
        rssMiB: memoryMiB(winnow.pid).rss,
        heapMiB: Math.round(metrics.sum('nodejs_heap_size_used_bytes') / 2 ** 20),
      })
    }
  } finally {
    generator.stop()
    await winnow.kill9()
    winnow.clean()
    rmSync(folder, { recursive: true, force: true })
  }
  const [few, many] = points as [Point, Point]
  const mibPerTenThousand = (10_000 * (many.rssMiB - few.rssMiB)) / (many.open - few.open)
  const rows = points.map(
    ({ open, rssMiB, heapMiB }) => `${open} open traces: ${rssMiB} MiB resident, heap ${heapMiB}`,
  )
  const slope = `${mibPerTenThousand.toFixed(1)} MiB per 10,000 open traces of six spans in three slices`
  return { points, mibPerTenThousand, text: [...rows, slope].join('\n') }
}
