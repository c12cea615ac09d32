import { ManualClock } from '@winnow/runtime'
import { MemoryBlobStore, type SpanRow, writeSegment } from '@winnow/storage'
import { expect, test } from 'vitest'
import { sampleSpanRow, sampleTraceId } from '../../storage/src/samples.ts'
import type { CostLine } from './cost-model.ts'
import { namesMax, others } from './ledger-sums.ts'
import { spanShares } from './span-shares.ts'

const dayMs = 86_400_000
const sinceMs = Date.UTC(2026, 10, 1)
const window = { sinceMs, untilMs: sinceMs + 10 * dayMs }
const text = {
  name: 'chat',
  attributes: '{}',
  resource_attributes: '{}',
  events: '[]',
  links: '[]',
}

const line = (tier: CostLine['tier'], dollars: number): CostLine => ({
  ...{ tier, what: 'storage', quantity: 1, unit: 'GB-month', price: dollars, dollars },
})
const lines = [line('hot', 100), line('warm', 30), line('cold', 9), line('ledger', 1)]

/** One segment of warm for each list of rows, a day each. */
async function warm(...days: readonly (readonly Partial<SpanRow>[])[]): Promise<MemoryBlobStore> {
  const blobs = new MemoryBlobStore(new ManualClock())
  for (const [n, changes] of days.entries()) {
    const rows = changes.map((change, at) =>
      sampleSpanRow(sampleTraceId(n), at, { sampling_offset: BigInt(n), ...text, ...change }),
    )
    const metadata = {
      ...{ v: 1, partition: 0, logId: 'log-1', a: n, b: n, after: { claim: 0, next: 1 } },
      ...{ rows: { ledger: 0, warm: rows.length, cold: rows.length }, digest: 'd' },
    }
    for (const tier of ['cold', 'warm'] as const) {
      const atMs = sinceMs + n * dayMs
      await writeSegment(blobs, atMs, { ...metadata, tier }, { tier, rows })
    }
  }
  return blobs
}

test('warm and cold are shared out by the bytes of the rows’ texts, hot and the ledger are not', async () => {
  const long = '{"a":{"stringValue":"ü"}}'
  const blobs = await warm(
    [{ name: 'chat' }, { name: 'tool', attributes: long }],
    [{ name: 'chat' }],
  )
  const { segments, names } = await spanShares(blobs, lines, window)
  const tool = 4 + 26 + 6
  expect(segments).toEqual({ read: 2, of: 2 })
  expect(names).toEqual([
    {
      ...{ name: 'tool', rows: 1, bytes: tool },
      dollars: { warm: 18, cold: 5.4, total: 23.4 },
    },
    { name: 'chat', rows: 2, bytes: 24, dollars: { warm: 12, cold: 3.6, total: 15.6 } },
  ])
})

test('of one tenant its own rows count alone', async () => {
  const blobs = await warm([{ name: 'mine' }, { name: 'theirs', tenant: 'other' }])
  const { names } = await spanShares(blobs, lines, { ...window, tenant: 'other' })
  expect(names).toMatchObject([{ name: 'theirs', rows: 1, dollars: { total: 39 } }])
})

test('of more segments than may be read some are, evenly over the time', async () => {
  const days = Array.from({ length: 9 }, (_, n) => [{ name: `day ${n}` }])
  const heard: string[] = []
  const { segments, names } = await spanShares(await warm(...days), lines, {
    ...{ ...window, segmentsMax: 3 },
    onSegment: (read, of) => heard.push(`${read} of ${of}`),
  })
  expect(segments).toEqual({ read: 3, of: 9 })
  expect(names.map(({ name }) => name)).toEqual(['day 1', 'day 4', 'day 7'])
  expect(heard).toEqual(['3 of 3'])
})

test('names beyond the limit are added up, and nothing stored is nobody’s', async () => {
  const rows = Array.from({ length: namesMax + 5 }, (_, n) => ({ name: `span ${n}` }))
  const { names } = await spanShares(await warm(rows), lines, window)
  expect(names).toHaveLength(namesMax + 1)
  expect(names[0]).toMatchObject({ name: others, rows: 5 })
  const none = await spanShares(await warm(), lines, window)
  expect(none).toEqual({ segments: { read: 0, of: 0 }, names: [] })
})
