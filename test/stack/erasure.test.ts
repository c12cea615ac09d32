// What `winnow erase` takes out of real servers, with the process killed meanwhile.

import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { ColdHashers, FileColdKeys } from '@winnow/privacy'
import { Random } from '@winnow/testing'
import type { ShownErasure } from '@winnow/writer'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openBlobStore } from '../../services/winnow/src/open-stores.ts'
import { loadConfig } from '../../services/winnow/src/program-config.ts'
import {
  api,
  said,
  sendAll,
  subject,
  subjectAmong,
  subjectTraces,
  summaryOf,
  tiersThatSay,
  warmTraces,
} from '../support/erasure-subject.ts'
import { shortWaits, startWinnow, winnow } from '../support/winnow-process.ts'
import { ask } from './opensearch/store.ts'
import { stackForTest } from './stack-system.ts'

const seed = Number(process.env.TEST_SEED ?? 20_261_122)
const others = Number(process.env.TEST_ERASURE_TRACES ?? 200)
const kills = 3
const waits = { timeout: 300_000, interval: 1_000 }

interface Hits {
  readonly hits: { readonly hits: readonly { readonly _index: string; readonly _source: object }[] }
}

/** Indices that hold one of the texts: in a field as it is, or within the base64 of bytes. */
async function indicesThatSay(url: string, prefix: string, texts: readonly string[]) {
  const says = new Set<string>()
  await ask(url, 'POST', `/${prefix}-*/_refresh`)
  const body = { size: 10_000, query: { match_all: {} } }
  const found = await ask<Hits>(url, 'POST', `/${prefix}-*/_search`, body)
  for (const { _index, _source } of found.body.hits.hits) {
    const held = JSON.stringify(_source)
    // A part says how many bytes it has, a text has them.
    const { bytes, spans } = _source as { bytes?: string | number; spans?: string }
    const encoded = [bytes, spans].filter(one => typeof one === 'string')
    const decoded = Buffer.concat(encoded.map(one => Buffer.from(one, 'base64')))
    if (texts.some(text => held.includes(text) || decoded.includes(text))) says.add(_index)
  }
  return [...says].map(name => name.slice(prefix.length + 1).replace(/-2.*/, '')).sort()
}

async function keysThatSay(url: string, texts: readonly string[]): Promise<number> {
  const redis = new Redis(url)
  try {
    let says = 0
    for (const key of await redis.keys('*')) {
      const value = await redis.getBuffer(key)
      if (value !== null && texts.some(text => value.includes(text))) says++
    }
    return says
  } finally {
    redis.disconnect()
  }
}

test('a subject is erased from Redis, OpenSearch and S3 through three kills', {
  timeout: 1_200_000,
}, async ({ skip }) => {
  console.info(`seed ${seed}, ${others} other traces`)
  const stack = await stackForTest(skip)
  const prefix = `erase-${randomUUID().slice(0, 8)}`
  const env = {
    ...stack.env,
    ...shortWaits,
    WINNOW_TOPICS_PREFIX: prefix,
    WINNOW_TOPICS_PARTITIONS: '2',
    WINNOW_OPENSEARCH_INDEX_PREFIX: prefix,
  }
  let running = await startWinnow({ env })
  const { data } = running
  onTestFinished(async () => {
    await running.kill9()
    rmSync(data, { recursive: true, force: true })
  })
  const config = loadConfig({
    env: { ...process.env, ...env },
    options: { data },
    readFile: () => '',
  })
  const blobs = await openBlobStore(config, { mayWrite: false })
  onTestFinished(() => blobs.close())
  const random = Random.of(seed, 9)
  const all = subjectAmong(others, random)
  await sendAll(running, all, Date.now())
  const isWritten = async (): Promise<void> => {
    const ids = await warmTraces(blobs)
    for (const { traceId, isKept } of all) if (isKept) expect(ids.has(traceId)).toBe(true)
    for (const { traceId } of all.filter(({ isSubject }) => isSubject)) {
      const why = await api(running, `/traces/${traceId}/why`)
      expect(why.body).toMatchObject({ sliceCount: 1 })
    }
  }
  await vi.waitFor(isWritten, waits)
  const keys = new FileColdKeys(join(data, 'keys', 'cold'), () => new Uint8Array(32))
  const texts = [subject, said, (await new ColdHashers(keys).of('default')).token(subject)]
  const before = await summaryOf(blobs, all, texts)
  expect(tiersThatSay(before)).toEqual(['cold', 'warm'])
  const { url } = stack.opensearch
  // The indices of one request are written side by side.
  const isInHot = async () =>
    expect(await indicesThatSay(url, prefix, texts)).toEqual(['parts', 'spans', 'text'])
  await vi.waitFor(isInHot, waits)

  const asked = await api<ShownErasure>(running, '/erasures', {
    where: { 'user.id_hash': subject },
  })
  expect(asked.status).toBe(202)
  for (let kill = 0; kill < kills; kill++) {
    // The writer lets others hear of it for five seconds before it removes anything.
    await sleep(random.int(3_000, 9_000))
    await running.kill9()
    running = await startWinnow({ env, data })
  }
  const removed = async (): Promise<ShownErasure> => {
    const { body } = await api<ShownErasure>(running, `/erasures/${asked.body.id}`)
    expect(body.state).toBe('waiting-for-retention')
    return body
  }
  const receipt = await vi.waitFor(removed, waits)
  expect(receipt).toMatchObject({
    traces: subjectTraces,
    removed: { warm: { rows: 32 }, cold: { rows: 32 }, ledger: { rows: subjectTraces } },
  })
  expect(receipt.waitsFor.map(({ where }) => where)).toContain('buffer')

  for (const { traceId } of all.filter(({ isSubject }) => isSubject)) {
    expect((await api(running, `/traces/${traceId}`)).status).toBe(410)
    const outcome = { traceId, name: 'csat', score: 1, source: 'survey' }
    await api(running, '/evaluations', outcome)
  }
  await sleep(15_000)
  const after = await summaryOf(blobs, all, texts)
  expect(tiersThatSay(after)).toEqual([])
  for (const [key, { others: rows }] of before) expect(after.get(key)?.others, key).toBe(rows)
  expect(await indicesThatSay(url, prefix, texts)).toEqual([])
  const isForgotten = async () => expect(await keysThatSay(stack.redis.url, texts)).toBe(0)
  await vi.waitFor(isForgotten, waits)
  const audited = await winnow(['audit', '--full', '--data', data, '--json'], env)
  expect(JSON.parse(audited.stdout)).toMatchObject({ agrees: true, findings: [] })
  const verified = await winnow(['verify', '--url', `http://${running.api}`, '--full'])
  expect(verified.stdout).toMatch(/^BALANCED/)
})
