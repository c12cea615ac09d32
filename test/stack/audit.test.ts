// The audit of a real S3 and OpenSearch after a load, and after somebody changed both by hand. Two million spans
// take about five minutes on two cores: TEST_AUDIT_SPANS=2000000 vitest run --project stack test/stack/audit.test.ts

import { randomBytes } from 'node:crypto'
import process from 'node:process'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { OtlpClient, trafficEvents } from '@winnow/testing'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import type { AuditReport } from '../../services/winnow/src/audit/audit.ts'
import { startGenerator } from '../support/load/generator-process.ts'
import { settled } from '../support/settled.ts'
import { startWinnow, winnow } from '../support/winnow-process.ts'
import { sharedOpenSearch } from './opensearch/shared.ts'
import { ask, removeIndices } from './opensearch/store.ts'
import { s3Client } from './s3/client.ts'
import { sharedS3 } from './s3/shared.ts'

const opensearch = await sharedOpenSearch()
const s3 = await sharedS3()

const seed = Number(process.env.TEST_SEED ?? 20_261_122)
const spans = Number(process.env.TEST_AUDIT_SPANS ?? 8_192)
/** Of traces with everything that makes traffic awkward, beside the load. */
const awkward = 150
/** So much at least is done a second, on whatever machine. */
const spansPerSecond = 500
const waitMs = 300_000 + (1_000 * spans) / spansPerSecond
const indexPrefix = `audit-${randomBytes(4).toString('hex')}`

afterAll(async () => {
  if (opensearch !== undefined) await removeIndices(opensearch.url, [indexPrefix])
})

type Env = Readonly<Record<string, string>>

async function auditOf(env: Env, ...options: string[]) {
  const { code, stdout, stderr } = await winnow(
    ['audit', '--grace', '1s', '--json', ...options],
    env,
  )
  if (stdout === '') throw new Error(stderr)
  return { code, report: JSON.parse(stdout) as AuditReport }
}

/** Traffic of the whole pipeline, all of it written once this resolves. */
async function load(env: Env): Promise<void> {
  const running = await startWinnow({ env })
  onTestFinished(async () => {
    await running.kill9()
    running.clean()
  })
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  const startMs = Date.now()
  for (const event of trafficEvents({
    seed,
    traces: awkward,
    startMs,
    quick: true,
    tenants: ['default'],
  })) {
    if (event.kind === 'request') await client.sendTraces(event.data)
  }
  client.close()
  const generator = startGenerator()
  try {
    const driven = await generator.drive({ address: running.otlpHttp, spans, connections: 4 })
    expect(driven.spans).toBeGreaterThanOrEqual(spans)
    console.info(`seed ${seed}, ${driven.spans} spans and ${awkward} awkward traces`)
  } finally {
    generator.stop()
  }
  await settled([running.metrics], waitMs)
  expect(await running.stop()).toBe(0)
}

async function keysOf(client: S3Client, Bucket: string, Prefix: string): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix }))
  return Contents.flatMap(({ Key }) => (Key?.endsWith('.parquet') ? [Key] : []))
}

test.runIf(opensearch !== undefined && s3 !== undefined)(
  'S3 and OpenSearch agree with the ledger to the byte, and whatever is changed by hand is named',
  { timeout: 2 * waitMs },
  async () => {
    const [{ url }, place] = [opensearch as { url: string }, s3 as NonNullable<typeof s3>]
    const Bucket = place.bucket
    const env = {
      ...place.env,
      WINNOW_BLOBS: `s3://${Bucket}/${indexPrefix}`,
      WINNOW_HOT: url,
      WINNOW_OPENSEARCH_INDEX_PREFIX: indexPrefix,
      WINNOW_OPENSEARCH_REPLICAS: '0',
      WINNOW_TOPICS_PARTITIONS: '2',
      WINNOW_WRITER_SEGMENT_AGE: '5s',
    }
    await load(env)
    const startedAt = Date.now()
    const { code, report } = await auditOf(env)
    console.info(`${Date.now() - startedAt} ms: ${JSON.stringify({ ...report, findings: [] })}`)
    expect(report).toMatchObject({ agrees: true, counts: {}, findings: [] })
    expect(code).toBe(0)
    for (const folder of report.folders) {
      expect(folder.differenceBytes, folder.where).toBe(0)
      expect(folder.rows, folder.where).toBe(folder.ledgerRows)
    }
    const { hot } = report
    expect(Math.abs(hot?.differencePercent ?? 100)).toBeLessThanOrEqual(2)
    expect(hot?.held).toEqual(hot?.ledger)
    expect(hot?.ledger.spans).toBeGreaterThan(spans / 10)

    const client = s3Client(place)
    const [deleted = ''] = await keysOf(client, Bucket, `${indexPrefix}/cold/`)
    const [cut = '', own = ''] = await keysOf(client, Bucket, `${indexPrefix}/warm/`)
    const added = own.replace(/\d{12}\.parquet$/, '999999999999.parquet')
    const foreign = own.replace(/[^/]+$/, 'copy-of-monday.parquet')
    await client.send(new DeleteObjectCommand({ Bucket, Key: deleted }))
    await client.send(new CopyObjectCommand({ Bucket, Key: added, CopySource: `${Bucket}/${own}` }))
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: cut }))
    const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array()
    await client.send(
      new PutObjectCommand({ Bucket, Key: cut, Body: bytes.subarray(0, bytes.length - 100) }),
    )
    await client.send(new PutObjectCommand({ Bucket, Key: foreign, Body: 'somebody’s' }))
    client.destroy()
    const { lost, copied, date } = await changeHot(url)

    const found = await auditOf(env)
    const key = (name: string): string => name.slice(indexPrefix.length + 1)
    const named = found.report.findings.map(({ kind, key: of }) => `${kind} ${of}`)
    expect(named.toSorted()).toEqual(
      [
        `missing ${key(deleted)}`,
        `orphan ${key(added)}`,
        `damaged ${key(cut)}`,
        `foreign ${key(foreign)}`,
        `missing hot/${date}/default/${lost}`,
        `orphan hot/${date}/default/${copied}`,
        `foreign hot/${date}`,
      ].toSorted(),
    )
    expect(found.code).toBe(1)
    const { stdout } = await winnow(['audit', '--grace', '1s', '--csv'], env)
    for (const one of [deleted, added, cut, foreign]) expect(stdout).toContain(`"${key(one)}"`)
    const metrics = await winnow(['audit', '--grace', '1s', '--metrics'], env)
    expect(metrics.stdout).toContain('winnow_audit_findings{kind="missing"} 2')
  },
)

interface Hits {
  readonly hits: {
    readonly hits: readonly {
      readonly _index: string
      readonly _source: Readonly<Record<string, unknown>>
    }[]
  }
}

/** One trace's own document is deleted, one is put under another trace's id, one document is nobody's. */
async function changeHot(url: string) {
  const traces = `${indexPrefix}-traces-2*`
  const body = { size: 2, sort: [{ traceId: 'asc' }], query: { match_all: {} } }
  const { hits } = (await ask<Hits>(url, 'POST', `/${traces}/_search`, body)).body
  const [first, second] = hits.hits
  const lost = String(first?._source.traceId)
  const query = { term: { traceId: lost } }
  await ask(url, 'POST', `/${traces}/_delete_by_query?refresh=true`, { query })
  const copied = 'ff'.repeat(16)
  const index = second?._index ?? ''
  await ask(url, 'POST', `/${index}/_doc?refresh=true`, { ...second?._source, traceId: copied })
  await ask(url, 'POST', `/${index}/_doc?refresh=true`, { note: 'somebody’s' })
  return { lost, copied, date: index.slice(-'2026-11-21'.length) }
}
