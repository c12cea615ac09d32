// What OpenSearch and S3 hold of trace 48f as time goes by: the log's clock, on files, is moved by 25 hours,
// 8, 31 and 366 days, and every stage with it.

import { randomBytes } from 'node:crypto'
import type { Content } from '@winnow/query'
import { readAllSpans, type S3BlobStore } from '@winnow/storage'
import { afterAll, expect, test, vi } from 'vitest'
import { keyOf } from '../support/pipeline-harness.ts'
import { agedWaits, expectNothingOverdue, send48f, startAged } from './aged-pipeline.ts'
import { sharedOpenSearch } from './opensearch/shared.ts'
import { ask, removeIndices } from './opensearch/store.ts'
import { sharedS3 } from './s3/shared.ts'
import type { TestS3 } from './s3.ts'

const opensearch = await sharedOpenSearch()
const s3 = await sharedS3()

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const tenant = 'acme'
const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const texts = ['i want refund for order 4481', 'Mentions courtesy clause']
const identifiers = ['sess_91ab', 'msg_01H4r7K', 'pol_courtesy_v2_draft']
const structural = ['exp_prompt_terser_v3', 'claude-3-5-sonnet-20241022', 'v3.2']
const indexPrefix = `levels-${randomBytes(4).toString('hex')}`

afterAll(async () => {
  if (opensearch !== undefined) await removeIndices(opensearch.url, [indexPrefix])
})

interface TraceAnswer {
  readonly why: { readonly state: string; readonly primary: string }
  readonly content: Content
  readonly tier: string
  readonly spans: readonly unknown[]
}

test.runIf(opensearch !== undefined && s3 !== undefined)(
  'each tier holds what its level allows, for as long as it may, and every read says which it is',
  async () => {
    const { url } = opensearch as { url: string }
    const aged = await startAged(url, s3 as TestS3, indexPrefix)
    const { clock, hot, blobs, harness } = aged
    try {
      await send48f(aged, tenant)
      const read = async (): Promise<TraceAnswer> => {
        const headers = { authorization: `Bearer ${keyOf(tenant)}` }
        const path = `http://${harness.addresses.api}/api/v1/traces/${traceId}`
        return (await (await fetch(path, { headers })).json()) as TraceAnswer
      }
      const until = (tier: string, level: string): Promise<TraceAnswer> =>
        vi.waitFor(async () => {
          const answer = await read()
          expect(answer).toMatchObject({ tier, content: { level } })
          expect(answer.spans.length).toBe(8)
          expect(answer.why).toMatchObject({ state: 'kept', primary: 'citation-failed' })
          return answer
        }, agedWaits)
      const kinds = async (): Promise<string[]> => {
        const names = (await hot.periods()).map(({ name }) => name.slice(indexPrefix.length + 1))
        return [...new Set(names.map(name => name.replace(/-.*/, '')))].sort()
      }
      expectHolds(await until('hot', 'full'), [...texts, ...identifiers, ...structural], [])
      await vi.waitFor(
        async () => expect((await tierText(blobs, 'cold')).length > 2).toBe(true),
        agedWaits,
      )
      expect(await kinds()).toEqual(['parts', 'spans', 'text', 'traces'])
      // The indices of one request are written side by side.
      await vi.waitFor(
        async () => expectHolds(await documents(url), [...identifiers, ...structural], texts),
        agedWaits,
      )
      expectHolds(await tierText(blobs, 'warm'), [...identifiers, ...structural], texts)
      expectHolds(await tierText(blobs, 'cold'), structural, [...texts, ...identifiers])

      clock.shiftMs += 26 * hourMs
      expectHolds(await until('hot', 'structured'), [...identifiers, ...structural], texts)
      await expectNothingOverdue(aged)
      expect(await kinds()).toEqual(['parts', 'spans', 'traces'])

      clock.shiftMs += 7 * dayMs
      expectHolds(await until('warm', 'structured'), [...identifiers, ...structural], texts)
      await expectNothingOverdue(aged)
      expect(await kinds()).toEqual([])

      clock.shiftMs += 24 * dayMs
      expectHolds(await until('cold', 'hashed'), structural, [...texts, ...identifiers])
      await expectNothingOverdue(aged)
      expect(await tierText(blobs, 'warm')).toBe('[]')

      clock.shiftMs += 336 * dayMs
      await expectNothingOverdue(aged)
      for (const tier of ['warm', 'cold'] as const) expect(await tierText(blobs, tier)).toBe('[]')
      expect(await Array.fromAsync(blobs.list('ledger/'))).toEqual([])
      expect(await Array.fromAsync(blobs.list('ids/'))).toEqual([])
    } finally {
      await harness.stop()
    }
  },
)

/** All that can be searched for, of every index but that of the text. */
async function documents(url: string): Promise<string> {
  await ask(url, 'POST', `/${indexPrefix}-*/_refresh`)
  const path = `/${indexPrefix}-*,-${indexPrefix}-text-*/_search?size=1000`
  const { body } = await ask(url, 'GET', path)
  return JSON.stringify(body)
}

async function tierText(blobs: S3BlobStore, tier: 'warm' | 'cold'): Promise<string> {
  const rows: unknown[] = []
  for await (const { key } of blobs.list(`${tier}/`)) rows.push(...(await readAllSpans(blobs, key)))
  return JSON.stringify(rows, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one))
}

function expectHolds(value: unknown, words: readonly string[], never: readonly string[]): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  for (const word of words) expect(text).toContain(word)
  for (const word of never) expect(text).not.toContain(word)
}
