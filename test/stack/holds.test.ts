// A hold beside OpenSearch and S3 as time goes by: it has the text when every index and segment is gone, and it is gone
// at its own end.

import { randomBytes } from 'node:crypto'
import type { Content, ShownHold } from '@winnow/query'
import { parseHoldKey, type S3BlobStore } from '@winnow/storage'
import { afterAll, expect, test, vi } from 'vitest'
import { adminKeyOf, keyOf } from '../support/pipeline-harness.ts'
import { agedWaits, expectNothingOverdue, send48f, startAged } from './aged-pipeline.ts'
import { sharedOpenSearch } from './opensearch/shared.ts'
import { removeIndices } from './opensearch/store.ts'
import { sharedS3 } from './s3/shared.ts'
import type { TestS3 } from './s3.ts'

const opensearch = await sharedOpenSearch()
const s3 = await sharedS3()

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const tenant = 'acme'
const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const text = 'i want refund for order 4481'
const indexPrefix = `holds-${randomBytes(4).toString('hex')}`

afterAll(async () => {
  if (opensearch !== undefined) await removeIndices(opensearch.url, [indexPrefix])
})

interface TraceAnswer {
  readonly why: { readonly state: string; readonly primary: string }
  readonly content: Content
  readonly tier: string
}

test.runIf(opensearch !== undefined && s3 !== undefined)(
  'a hold keeps the text of a trace that no index and no segment has any more, until its own end',
  async () => {
    const { url } = opensearch as { url: string }
    const aged = await startAged(url, s3 as TestS3, indexPrefix)
    const { clock, hot, blobs, harness } = aged
    try {
      const call = async (method: string, path: string, apiKey: string, sent?: unknown) => {
        const response = await fetch(`http://${harness.addresses.api}/api/v1${path}`, {
          method,
          headers: { authorization: `Bearer ${apiKey}` },
          ...(sent !== undefined && { body: JSON.stringify(sent) }),
        })
        return { status: response.status, text: await response.text() }
      }
      const until = (tier: string, level: string): Promise<string> =>
        vi.waitFor(async () => {
          const answer = await call('GET', `/traces/${traceId}`, keyOf(tenant))
          expect(JSON.parse(answer.text) as TraceAnswer).toMatchObject({
            tier,
            content: { level },
            why: { state: 'kept', primary: 'citation-failed' },
          })
          return answer.text
        }, agedWaits)
      await send48f(aged, tenant)
      await until('hot', 'full')
      await vi.waitFor(async () => expect(await keys(blobs, 'cold/')).not.toEqual([]), agedWaits)
      const body = {
        traceId,
        reason: 'claim 4481',
        by: 'Ann Lee',
        until: new Date(clock.nowMs() + 500 * dayMs).toISOString(),
      }
      expect((await call('POST', '/holds', keyOf(tenant), body)).status).toBe(403)
      const stranger = await call('POST', '/holds', adminKeyOf('globex'), body)
      expect(stranger.status).toBe(404)
      const made = await call('POST', '/holds', adminKeyOf(tenant), body)
      expect(made.status).toBe(201)
      const hold = JSON.parse(made.text) as ShownHold
      expect(hold).toMatchObject({ level: 'full', spans: 8 })
      expect((await call('POST', '/holds', adminKeyOf(tenant), body)).status).toBe(200)
      const [key = '', ...others] = await keys(blobs, 'holds/')
      expect(others).toEqual([])
      expect(parseHoldKey(key)).toMatchObject({ id: hold.id, traceId })

      clock.shiftMs += 26 * hourMs
      expect(await until('hold', 'full')).toContain(text)
      await expectNothingOverdue(aged)

      clock.shiftMs += 400 * dayMs
      await vi.waitFor(async () => {
        for (const folder of ['ledger/', 'warm/', 'cold/', 'ids/']) {
          expect(await keys(blobs, folder)).toEqual([])
        }
        expect(await hot.periods()).toEqual([])
      }, agedWaits)
      expect(await until('hold', 'full')).toContain(text)
      await expectNothingOverdue(aged)

      clock.shiftMs += 100 * dayMs
      await vi.waitFor(async () => expect(await keys(blobs, 'holds/')).toEqual([]), agedWaits)
      await expectNothingOverdue(aged)
      expect((await call('GET', `/traces/${traceId}`, keyOf(tenant))).status).toBe(404)
      expect((await call('GET', `/holds/${hold.id}`, adminKeyOf(tenant))).status).toBe(404)
    } finally {
      await harness.stop()
    }
  },
)

async function keys(blobs: S3BlobStore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(blobs.list(prefix))).map(({ key }) => key)
}
