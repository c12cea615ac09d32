import { ManualClock, PipelineError } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import type { BlobStore } from '../blob-store.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleSpanRow, sampleTimeMs, sampleTraceId } from '../samples.ts'
import { checkFooter, checkValues, FilePieces, footerCrcKey, piecesKey } from './file-checks.ts'
import { ledgerRow } from './ledger-rows.ts'
import {
  readAllLedger,
  readAllSpans,
  readLedgerRow,
  readSegmentMetadata,
  readTraceLedger,
  readTraceSpans,
  writeSegment,
} from './segment.ts'
import type { Tier } from './segment-key.ts'

const traces = 300
const spans = Array.from({ length: 8 * traces }, (_, n) =>
  sampleSpanRow(sampleTraceId(n >> 3), n & 7, {
    sampling_offset: BigInt(n >> 3),
    attributes: `{"n":{"stringValue":"${`${n} `.repeat(40)}"}}`,
  }),
)
const ledger = Array.from({ length: traces }, (_, n) => ledgerRow(sampleDecision(n), 3, n))

/** Several pages of the larger columns, so that look-ups go by their indexes. */
async function segment(tier: 'ledger' | 'warm'): Promise<{ key: string; bytes: Uint8Array }> {
  const store = new MemoryBlobStore(new ManualClock())
  const metadata = {
    v: 1,
    tier,
    partition: 3,
    logId: 'log-1',
    a: 0,
    b: traces,
    after: { claim: 0, next: 1 },
    rows: { ledger: traces, warm: spans.length, cold: 0 },
    digest: 'ab'.repeat(32),
  } as const
  const rows = tier === 'ledger' ? { tier, rows: ledger } : { tier, rows: spans }
  const { key, bytes } = await writeSegment(store, sampleTimeMs, metadata, rows)
  return { key, bytes: (await store.read(key, 0, bytes)) ?? new Uint8Array() }
}

/** Everything that is ever asked of a segment. */
async function readings(store: BlobStore, key: string, tier: Tier): Promise<string[]> {
  const id = sampleTraceId(traces >> 1)
  const reads =
    tier === 'ledger'
      ? [
          () => readAllLedger(store, key),
          () => readTraceLedger(store, key, 'default', id),
          async () =>
            readLedgerRow(store, { key, bytes: (await store.head(key))?.bytes ?? 0, row: 7 }),
        ]
      : [() => readAllSpans(store, key), () => readTraceSpans(store, key, 'default', id)]
  const read: (() => Promise<unknown>)[] = [() => readSegmentMetadata(store, key), ...reads]
  const answers: string[] = []
  for (const one of read) {
    answers.push(
      await one().then(
        value => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
        (error: unknown) => {
          if (!(error instanceof PipelineError)) throw error
          return `${error.code} ${error.message}`
        },
      ),
    )
  }
  return answers
}

async function stored(key: string, bytes: Uint8Array): Promise<MemoryBlobStore> {
  const store = new MemoryBlobStore(new ManualClock())
  await store.create(key, bytes)
  return store
}

for (const tier of ['ledger', 'warm'] as const) {
  const seed = Date.now() % 1_000_000
  test(`${tier}: of a changed byte nothing is decoded, and what is untouched is read (seed ${seed})`, async () => {
    const { key, bytes } = await segment(tier)
    const right = await readings(await stored(key, bytes), key, tier)
    expect(right.some(answer => answer.startsWith('DATA_CORRUPT'))).toBe(false)
    let refused = 0
    for (let n = 0; n < 200; n++) {
      const random = Random.of(seed, n)
      const at = random.int(4, bytes.length - 1)
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] as number) ^ (1 << random.int(0, 7))
      const answers = await readings(await stored(key, changed), key, tier)
      for (const [which, answer] of answers.entries()) {
        if (answer === right[which]) continue
        expect(answer).toMatch(new RegExp(`^DATA_CORRUPT .*${key}.*(restore|move it away)`))
        refused++
      }
      // Whoever reads all of it meets the byte, wherever it lies: unless in an index or a filter.
      if (n === 0) expect(answers.length).toBe(right.length)
    }
    expect(refused).toBeGreaterThan(100)
  })
}

test('a segment that says nothing of its bytes is refused, with what to do', async () => {
  const { key, bytes } = await segment('warm')
  for (const name of [footerCrcKey, piecesKey]) {
    const without = Buffer.from(bytes)
    without.write('X', without.lastIndexOf(name) + 3)
    const answers = await readings(await stored(key, without), key, 'warm')
    for (const answer of answers) expect(answer).toMatch(/^DATA_CORRUPT .*move it away/)
  }
})

test('what is cut short, or is no Parquet, is refused', async () => {
  const { key, bytes } = await segment('ledger')
  for (const length of [1, 7, 8, 12, bytes.length - 1]) {
    for (const part of [bytes.slice(0, length), bytes.slice(bytes.length - length)]) {
      const [metadata] = await readings(await stored(key, part), key, 'ledger')
      expect(metadata).toMatch(/^DATA_CORRUPT/)
    }
  }
})

test('pieces that do not reach from the first magic number to the footer are none', () => {
  const text = checkValues([
    { bytes: 10, crc: 1 },
    { bytes: 6, crc: 2 },
  ])[0]?.value
  expect(new FilePieces('k', text, 20).around(5, 6)).toEqual({ from: 4, to: 14 })
  expect(new FilePieces('k', text, 20).around(13, 15)).toEqual({ from: 4, to: 20 })
  expect(new FilePieces('k', text, 20).around(14, 20)).toEqual({ from: 14, to: 20 })
  for (const footerAt of [19, 21]) expect(() => new FilePieces('k', text, footerAt)).toThrow(/k/)
  for (const [start, end] of [
    [3, 6],
    [14, 21],
  ] as const) {
    expect(() => new FilePieces('k', text, 20).around(start, end)).toThrow(/DATA_CORRUPT/)
  }
  expect(() => checkFooter('k', new Uint8Array(40))).toThrow(/DATA_CORRUPT/)
})
