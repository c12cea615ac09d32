// What OpenSearch and S3 hold of trace 48f as time goes by: the log's clock, on files, is moved by 25 hours,
// 8, 31 and 366 days, and every stage with it.

import { randomBytes } from 'node:crypto'
import { FileBus } from '@winnow/bus'
import type { Content } from '@winnow/query'
import { type StageClock, systemClock } from '@winnow/runtime'
import { defaultHotLife, readAllSpans, type S3BlobStore } from '@winnow/storage'
import { OtlpClient, trace48f } from '@winnow/testing'
import { afterAll, expect, test, vi } from 'vitest'
import { AgeAudit } from '../../services/winnow/src/audit/age.ts'
import { keyOf, PipelineHarness } from '../support/pipeline-harness.ts'
import { sharedOpenSearch } from './opensearch/shared.ts'
import { ask, openTestStore, removeIndices } from './opensearch/store.ts'
import { sharedS3 } from './s3/shared.ts'
import { openS3Store } from './s3/store.ts'
import type { TestS3 } from './s3.ts'

const opensearch = await sharedOpenSearch()
const s3 = await sharedS3()

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const tenant = 'acme'
const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const waits = { timeout: 90_000, interval: 500 }
const texts = ['i want refund for order 4481', 'Mentions courtesy clause']
const identifiers = ['sess_91ab', 'msg_01H4r7K', 'pol_courtesy_v2_draft']
const structural = ['exp_prompt_terser_v3', 'claude-3-5-sonnet-20241022', 'v3.2']
const indexPrefix = `levels-${randomBytes(4).toString('hex')}`

/** The wall clock, as the test likes it. */
class ShiftedClock implements StageClock {
  shiftMs = 0
  nowMs(): number {
    return systemClock.nowMs() + this.shiftMs
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
}

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
    const clock = new ShiftedClock()
    const hot = await openTestStore(url, { indexPrefix, clock })
    const blobs = await openS3Store(s3 as TestS3)
    const harness = await PipelineHarness.start({
      clock,
      openBus: (specs, folder) => FileBus.open({ folder, specs, clock }),
      stores: async () => ({ hot, blobs }),
      assembler: { quiet: '800ms', rootless: '2s', openMax: '5s', clockSlack: '200ms' },
      segmentAge: '1s',
      expireEvery: '1s',
      partitions: 1,
    })
    try {
      await send(harness)
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
        }, waits)
      const kinds = async (): Promise<string[]> => {
        const names = (await hot.periods()).map(({ name }) => name.slice(indexPrefix.length + 1))
        return [...new Set(names.map(name => name.replace(/-.*/, '')))].sort()
      }
      const expectNothingOverdue = (): Promise<void> =>
        vi.waitFor(async () => {
          const audit = new AgeAudit({
            hotLife: defaultHotLife,
            livesMs: { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs },
            nowMs: clock.nowMs(),
            graceMs: 0,
          })
          await audit.hot(hot)
          await audit.blobs(blobs)
          expect(audit.report()).toMatchObject({ agrees: true, findings: [] })
        }, waits)

      expectHolds(await until('hot', 'full'), [...texts, ...identifiers, ...structural], [])
      await vi.waitFor(
        async () => expect((await tierText(blobs, 'cold')).length > 2).toBe(true),
        waits,
      )
      expect(await kinds()).toEqual(['parts', 'spans', 'text', 'traces'])
      // The indices of one request are written side by side.
      await vi.waitFor(
        async () => expectHolds(await documents(url), [...identifiers, ...structural], texts),
        waits,
      )
      expectHolds(await tierText(blobs, 'warm'), [...identifiers, ...structural], texts)
      expectHolds(await tierText(blobs, 'cold'), structural, [...texts, ...identifiers])

      clock.shiftMs += 26 * hourMs
      expectHolds(await until('hot', 'structured'), [...identifiers, ...structural], texts)
      await expectNothingOverdue()
      expect(await kinds()).toEqual(['parts', 'spans', 'traces'])

      clock.shiftMs += 7 * dayMs
      expectHolds(await until('warm', 'structured'), [...identifiers, ...structural], texts)
      await expectNothingOverdue()
      expect(await kinds()).toEqual([])

      clock.shiftMs += 24 * dayMs
      expectHolds(await until('cold', 'hashed'), structural, [...texts, ...identifiers])
      await expectNothingOverdue()
      expect(await tierText(blobs, 'warm')).toBe('[]')

      clock.shiftMs += 336 * dayMs
      await expectNothingOverdue()
      for (const tier of ['warm', 'cold'] as const) expect(await tierText(blobs, tier)).toBe('[]')
      expect(await Array.fromAsync(blobs.list('ledger/'))).toEqual([])
      expect(await Array.fromAsync(blobs.list('ids/'))).toEqual([])
    } finally {
      await harness.stop()
    }
  },
)

async function send(harness: PipelineHarness): Promise<void> {
  const client = new OtlpClient({
    transport: 'grpc',
    address: harness.addresses.otlpGrpc,
    apiKey: keyOf(tenant),
  })
  const { acknowledged } = await client.sendTraces(trace48f({ startMs: systemClock.nowMs() }))
  client.close()
  expect(acknowledged).toBe(true)
}

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
