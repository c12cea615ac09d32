// What `winnow erase` takes out of one process on files, through kills, and what stays as it was.

import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ColdHashers, FileColdKeys } from '@winnow/privacy'
import { FileBlobStore } from '@winnow/storage'
import { Random } from '@winnow/testing'
import type { ShownErasure } from '@winnow/writer'
import { expect, onTestFinished, test, vi } from 'vitest'
import { MovedClock } from './crash/moved-clock.ts'
import {
  api,
  erasedDry,
  type Sent,
  said,
  sendAll,
  subject,
  subjectAmong,
  subjectTraces,
  summaryOf,
  tiersThatSay,
  warmTraces,
} from './support/erasure-subject.ts'
import { type RunningWinnow, shortWaits, startWinnow, winnow } from './support/winnow-process.ts'

const seed = Number(process.env.TEST_SEED ?? 20_261_122)
/** A hundred thousand in the long run; a subject among them all the same. */
const others = Number(process.env.TEST_ERASURE_TRACES ?? 60)
const kills = 5
const hour = 3_600_000
/** What many traces take longer, on a machine that others use. */
const moreMs = others * 30
const waits = { timeout: 120_000 + moreMs, interval: 250 + others / 10 }
/** Files below a folder in which one of the texts stands as it is. */
function filesWith(folder: string, texts: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => statSync(join(folder, name)).isFile())
    .filter(name => {
      const bytes = readFileSync(join(folder, name))
      return texts.some(text => bytes.includes(text))
    })
}

/** Traces that are read one by one, of however many there are. */
const shown = 100

async function isWritten(
  running: RunningWinnow,
  blobs: FileBlobStore,
  all: readonly Sent[],
): Promise<void> {
  const ids = await warmTraces(blobs)
  expect(all.filter(({ traceId, isKept }) => isKept && !ids.has(traceId)).length).toBe(0)
  for (const { traceId } of [...all.filter(({ isSubject }) => isSubject), ...all.slice(-shown)]) {
    const why = await api(running, `/traces/${traceId}/why`)
    expect(why.body).toMatchObject({ sliceCount: 1 })
  }
}

test('a subject is erased through five kills, comes back by nothing, and all else is as it was', {
  timeout: 600_000 + 3 * moreMs,
}, async () => {
  console.info(`seed ${seed}, ${others} other traces`)
  const random = Random.of(seed, 7)
  const clock = new MovedClock()
  const { nodeArgs, env: clockEnv } = clock.options
  const options = { nodeArgs, env: { ...shortWaits, ...clockEnv, WINNOW_TOPICS_PARTITIONS: '2' } }
  let running = await startWinnow(options)
  const { data } = running
  onTestFinished(async () => {
    await running.kill9()
    clock.remove()
    rmSync(data, { recursive: true, force: true })
  })
  const all = subjectAmong(others, random)
  await sendAll(running, all, clock.nowMs)
  const blobs = FileBlobStore.existing(join(data, 'blobs'))
  await vi.waitFor(() => isWritten(running, blobs, all), waits)
  const hashers = new ColdHashers(
    new FileColdKeys(join(data, 'keys', 'cold'), () => new Uint8Array(32)),
  )
  const texts = [subject, said, (await hashers.of('default')).token(subject)]
  const before = await summaryOf(blobs, all, texts)
  // What is looked for can be found: in the text and rows of hot, in warm and, as a token, in cold.
  expect(tiersThatSay(before)).toEqual(['cold', 'warm'])
  expect(filesWith(join(data, 'hot'), texts)).not.toEqual([])
  const readBefore = new Map<string, unknown>()
  for (const { traceId, isSubject, isKept } of all.slice(0, shown)) {
    if (isKept && !isSubject)
      readBefore.set(traceId, (await api(running, `/traces/${traceId}`)).body)
  }

  const unknown = await api(running, '/erasures', { where: { 'user.message': said } })
  expect(unknown).toMatchObject({
    status: 422,
    body: { error: { code: 'INVALID_ERASURE', value: 'user.message' } },
  })
  expect(await erasedDry(running)).toMatchObject({
    state: 'done',
    dryRun: true,
    traces: subjectTraces,
    removed: { warm: { rows: 32 }, cold: { rows: 32 } },
  })
  expect(await summaryOf(blobs, all, texts)).toEqual(before)

  const asked = await api<ShownErasure>(running, '/erasures', {
    where: { 'user.id_hash': subject },
  })
  expect(asked.status).toBe(202)
  const { id } = asked.body
  for (let kill = 0; kill < kills; kill++) {
    await sleep(random.int(0, 900))
    await running.kill9()
    running = await startWinnow({ ...options, data })
  }
  const removed = async () => {
    const { body } = await api<ShownErasure>(running, `/erasures/${id}`)
    expect(body.state).toBe('waiting-for-retention')
    return body
  }
  const receipt = await vi.waitFor(removed, waits)
  expect(receipt).toMatchObject({
    traces: subjectTraces,
    removed: { warm: { rows: 32 }, cold: { rows: 32 }, ledger: { rows: 8 } },
  })
  expect(JSON.stringify(receipt)).not.toContain(subject)
  expect(receipt.notReached).toContainEqual(expect.stringContaining('backups'))
  // The dry run, and this one.
  const page = await api<{ cursor: string }>(running, '/erasures?limit=1')
  expect(page.body).toMatchObject({ erasures: [{ id }], cursor: id })
  const rest = await api(running, `/erasures?limit=1&cursor=${page.body.cursor}`)
  expect(rest.body).toEqual({ erasures: [expect.objectContaining({ dryRun: true })] })
  for (const query of ['cursor=5c1e09b2f3a47d68', 'limit=0', 'limit=1001']) {
    expect((await api(running, `/erasures?${query}`)).status, query).toBe(400)
  }

  for (const { traceId, isSubject, isKept } of all) {
    if (!isSubject) continue
    for (const path of ['', '/why']) {
      const answer = await api(running, `/traces/${traceId}${path}`)
      expect(answer).toMatchObject({ status: 410, body: { error: { code: 'TRACE_ERASED' } } })
    }
    expect(
      (await api(running, `/traces/${traceId}/rescue`, { reason: 'bring it back' })).status,
    ).toBe(410)
    // An outcome that comes late keeps a dropped one, in the log; no store gets it.
    await api(running, '/evaluations', {
      traceId,
      name: 'csat',
      score: isKept ? 2 : 1,
      source: 'survey',
    })
  }
  await running.kill9()
  running = await startWinnow({ ...options, data })
  await sleep(4_000)
  for (const [traceId, body] of readBefore) {
    expect((await api(running, `/traces/${traceId}`)).body).toEqual(body)
  }
  const after = await summaryOf(blobs, all, texts)
  expect(tiersThatSay(after)).toEqual([])
  expect(filesWith(join(data, 'hot'), texts)).toEqual([])
  expect(filesWith(join(data, 'blobs'), texts)).toEqual([])
  for (const [key, { others: rows }] of before) expect(after.get(key)?.others, key).toBe(rows)
  const verified = await winnow(['verify', '--url', `http://${running.api}`, '--full'])
  expect(verified.stdout).toMatch(/^BALANCED/)
  const audited = await winnow(['audit', '--full', '--data', data, '--json'])
  expect(JSON.parse(audited.stdout)).toMatchObject({ agrees: true, findings: [] })

  await clock.jump(30 * hour)
  await sleep(12_000)
  expect((await api(running, `/erasures/${id}`)).body).toMatchObject({
    state: 'waiting-for-retention',
  })
  await clock.jump(75 * hour)
  const isDone = async () =>
    expect((await api(running, `/erasures/${id}`)).body).toMatchObject({
      state: 'done',
      traces: subjectTraces,
    })
  await vi.waitFor(isDone, waits)
  expect(filesWith(data, [subject, said])).toEqual([])
})

test('a folder whose process has ended is erased from on the command line, and the next process waits on', async () => {
  const env = { ...shortWaits, WINNOW_TOPICS_PARTITIONS: '2' }
  let running = await startWinnow({ env })
  const { data } = running
  onTestFinished(async () => {
    await running.kill9()
    rmSync(data, { recursive: true, force: true })
  })
  const all = subjectAmong(20, Random.of(seed, 8))
  await sendAll(running, all, Date.now())
  const blobs = FileBlobStore.existing(join(data, 'blobs'))
  await vi.waitFor(() => isWritten(running, blobs, all), waits)
  const erase = (...args: string[]) => winnow(['erase', ...args, '--data', data, '--json'], env)
  const beside = await erase('--where', `user.id_hash=${subject}`)
  expect([beside.code, beside.stderr]).toEqual([2, expect.stringContaining('is in use by process')])
  expect(await running.stop()).toBe(0)
  const wrong = await erase('--where', `user.message=${said}`)
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('is content')])
  const whole = await erase('--where', 'service.name=refund-bot')
  expect(whole.code).toBe(1)
  expect(JSON.parse(whole.stdout)).toMatchObject({
    state: 'refused',
    traces: all.length,
    why: expect.stringContaining(`--traces-max ${all.length}`),
  })
  const erased = await erase('--where', `user.id_hash=${subject}`)
  const receipt = JSON.parse(erased.stdout) as ShownErasure
  expect(receipt).toMatchObject({
    state: 'waiting-for-retention',
    traces: subjectTraces,
    removed: { hot: { objects: 4, rows: 32 }, warm: { rows: 32 }, cold: { rows: 32 } },
  })
  expect(tiersThatSay(await summaryOf(blobs, all, [subject, said]))).toEqual([])
  expect(filesWith(join(data, 'hot'), [subject, said])).toEqual([])
  const text = await winnow(['erase', '--status', receipt.id, '--data', data], env)
  expect(text.stdout).toMatch(/^erasure [0-9a-f]{16} {2}waiting-for-retention\n.*not done yet/s)
  // What was erased is judged by no policy, and flips for none.
  const policy = join(import.meta.dirname, '../docs/examples/policy.yaml')
  const tried = await winnow(
    ['backtest', '--policy', policy, '--since', '1d', '--data', data, '--json'],
    env,
  )
  expect(tried.stderr).not.toContain('known-bad')
  expect(JSON.parse(tried.stdout)).toMatchObject({ gone: subjectTraces })
  expect(tried.stdout).not.toContain(all.find(({ isSubject }) => isSubject)?.traceId)
  running = await startWinnow({ env, data })
  for (const { traceId, isSubject } of all) {
    const { status } = await api(running, `/traces/${traceId}/why`)
    expect(status).toBe(isSubject ? 410 : 200)
  }
  const listed = await winnow(['erase', '--list', '--url', `http://${running.api}`, '--json'])
  expect(JSON.parse(listed.stdout).erasures).toMatchObject([
    { id: receipt.id },
    { state: 'refused', where: 'service.name' },
  ])
})
