// A trace of any day of a year, asked for by its id and no date, counted in requests and bytes at the blob
// store's port: with the id indexes that a writer made day by day, and with all of them deleted by hand.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Query } from '@winnow/query'
import { FileBlobStore } from '@winnow/storage'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { winnow } from './support/winnow-process.ts'
import {
  CountedBlobs,
  isKept,
  startYearQuery,
  traceOf,
  writeYear,
  yearDays,
} from './support/year-of-days.ts'

/** What one look-up may take, of a trace that was kept: the decision and its spans. */
const requestsMax = { indexed: 10, bare: 400 }
const bytesMax = { indexed: 1_000_000, bare: 8_000_000 }

/** Days ago, the least and the most among them; in the ledger's newest days, months and oldest. */
const days = [3, 29, 30, 31, 100, 200, 300, yearDays - 1]

let folder: string
let blobs: CountedBlobs
let query: Query

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'winnow-year-'))
  blobs = new CountedBlobs(await FileBlobStore.open(folder))
  await writeYear(blobs)
  query = await startYearQuery(blobs)
}, 600_000)

afterAll(async () => {
  await query?.stop()
  await rm(folder, { recursive: true, force: true })
})

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

async function ask(path: string): Promise<Answer> {
  blobs.reset()
  const response = await fetch(`http://${query.address}/api/v1/traces/${path}`)
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

/** Query anew, so that it holds no footer. */
async function restarted(): Promise<void> {
  await query.stop()
  query = await startYearQuery(blobs)
}

async function expectFound(daysAgo: number, limit: 'indexed' | 'bare'): Promise<void> {
  const { traceId } = traceOf(daysAgo, 5)
  const { status, body } = await ask(traceId)
  const asked = `${daysAgo} days ago:\n${blobs.asked.join('\n')}`
  expect(status, asked).toBe(200)
  const isWarm = daysAgo < 30
  expect(body, asked).toMatchObject({
    traceId,
    tier: isWarm ? 'warm' : 'cold',
    content: {
      level: isWarm ? 'structured' : 'hashed',
      missing: isWarm ? ['text'] : ['text', 'strings'],
    },
    why: { state: 'kept', searched: { complete: true, unreadable: [] } },
  })
  expect(body.spans).toHaveLength(8)
  expect(blobs.asked.length, asked).toBeLessThanOrEqual(requestsMax[limit])
  expect(blobs.bytes, asked).toBeLessThanOrEqual(bytesMax[limit])
  console.log(`${limit}, ${daysAgo} days ago: ${blobs.asked.length} requests, ${blobs.bytes} bytes`)
}

test('with the id indexes a kept trace of any day is ten requests away at most', async () => {
  for (const daysAgo of days) {
    await restarted()
    await expectFound(daysAgo, 'indexed')
  }
})

test('a dropped one and one that was never seen too', async () => {
  for (const { traceId } of [traceOf(200, 1), { traceId: 'f'.repeat(32) }]) {
    await restarted()
    const { body } = await ask(`${traceId}/why`)
    expect(body).toMatchObject({ searched: { complete: true } })
    expect(body.verdict).toBe(traceId.startsWith('ff') ? null : 'drop')
    expect(blobs.asked.length, blobs.asked.join('\n')).toBeLessThanOrEqual(requestsMax.indexed)
  }
  expect(isKept(1)).toBe(false)
})

test('the command finds it in cold alone, and says what is missing there', async () => {
  const { traceId } = traceOf(300, 5)
  const url = ['--url', `http://${query.address}`]
  const { code, stdout } = await winnow(['trace', traceId, ...url])
  expect(code).toBe(0)
  expect(stdout).toContain('refund_chat.turn')
  expect(stdout).toMatch(/hashed/)
  expect((await winnow(['why', traceId, ...url])).stdout).toMatch(/^KEPT/)
})

test('with the indexes deleted by hand it is found within 400 requests and 8 MB all the same', async () => {
  for await (const { key } of blobs.list('ids/')) await blobs.delete(key)
  for (const daysAgo of days) {
    await restarted()
    if (daysAgo > 3) await expectFound(daysAgo, 'bare')
  }
})
