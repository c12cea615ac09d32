import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock, PipelineError } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import type { BlobStore } from '../blob-store.ts'
import { FileBlobStore } from '../file-blob-store.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleSpanRow, sampleTimeMs, sampleTraceId } from '../samples.ts'
import { eraseFromSegment } from './erase-segment.ts'
import { readAllSpans, readTraceSpans, writeSegment } from './segment.ts'
import type { SegmentMetadata } from './segment-metadata.ts'

const seed = 20_261_122
const traces = 40
const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** A segment of warm of several hundred kilobytes: it takes several reads. */
async function segmentIn(store: BlobStore): Promise<string> {
  const random = Random.of(seed, 0)
  const noise = (): string => Array.from({ length: 600 }, () => random.int(0, 9e15)).join(' ')
  const rows = Array.from({ length: traces }, (_, n) =>
    sampleSpanRow(sampleTraceId(n), 0, {
      attributes: JSON.stringify({ noise: { stringValue: noise() } }),
    }),
  )
  const metadata: SegmentMetadata = {
    v: 1,
    tier: 'warm',
    partition: 0,
    logId: 'log-1',
    a: 0,
    b: traces - 1,
    after: { claim: 0, next: 0 },
    rows: { ledger: traces, warm: traces, cold: traces },
    digest: 'ab'.repeat(32),
  }
  return (await writeSegment(store, sampleTimeMs, metadata, { tier: 'warm', rows })).key
}

const erase = (store: BlobStore, key: string, n: number): Promise<unknown> =>
  eraseFromSegment(store, key, {
    id: `e${n}`,
    isErased: (_, traceId) => traceId === sampleTraceId(n),
  })

/** The store, of which every read of a middle part is preceded by `before`. */
function interrupted(store: BlobStore, before: () => Promise<unknown>): BlobStore {
  return new Proxy(store, {
    get: (own, name) => {
      if (name === 'read') {
        return async (key: string, start = 0, length?: number) => {
          if (start > 0) await before()
          return own.read(key, start, length)
        }
      }
      const value: unknown = Reflect.get(own, name)
      return typeof value === 'function' ? value.bind(own) : value
    },
  })
}

test('an object that is written anew between two reads is read as it is then', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await segmentIn(store)
  let isDone = false
  const once = interrupted(store, async () => {
    if (isDone) return
    isDone = true
    await erase(store, key, 3)
  })
  const rows = await readAllSpans(once, key)
  expect(isDone).toBe(true)
  expect(rows).toHaveLength(traces - 1)
})

test('one that goes on being written anew is to be read again, and is not called damaged', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await segmentIn(store)
  let n = 0
  const always = interrupted(store, () => erase(store, key, n++))
  await expect(readAllSpans(always, key)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test('one that is deleted meanwhile is not called damaged either', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await segmentIn(store)
  const gone = interrupted(store, () => store.delete(key))
  await expect(readAllSpans(gone, key)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test('an object that is damaged as it stands is called so', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await segmentIn(store)
  await store.rewrite(key, async bytes => {
    const damaged = Uint8Array.from(bytes)
    damaged[1_000] = (damaged[1_000] ?? 0) ^ 1
    return damaged
  })
  await expect(readAllSpans(store, key)).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
})

test('readers beside a loop of rewrites never hear that a healthy object is damaged', {
  timeout: 120_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'winnow-rewrite-'))
  folders.push(folder)
  const store = await FileBlobStore.open(folder)
  const key = await segmentIn(store)
  let isOver = false
  const heard = new Set<string>()
  let reads = 0
  const reader = async (read: () => Promise<unknown>): Promise<void> => {
    while (!isOver) {
      try {
        await read()
        reads++
      } catch (error) {
        heard.add(error instanceof PipelineError ? error.code : String(error))
      }
    }
  }
  const readers = [
    reader(() => readAllSpans(store, key)),
    reader(() => readTraceSpans(store, key, 'default', sampleTraceId(traces - 1))),
  ]
  for (let n = 0; n < traces - 1; n++) await erase(store, key, n)
  isOver = true
  await Promise.all(readers)
  expect(reads).toBeGreaterThan(0)
  expect([...heard].filter(code => code !== 'STORE_UNAVAILABLE')).toEqual([])
  expect(await readAllSpans(store, key)).toHaveLength(1)
})
