// What `winnow cold-keys destroy` does to a tenant's strings in cold, beside the process that writes them.

import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { FileBlobStore, listSegments, readAllSpans } from '@winnow/storage'
import { Random } from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  api,
  erasedDry,
  type Sent,
  sendAll,
  subjectAmong,
  subjectTraces,
  warmTraces,
} from './support/erasure-subject.ts'
import { type RunningWinnow, shortWaits, startWinnow, winnow } from './support/winnow-process.ts'

const seed = Number(process.env.TEST_SEED ?? 20_261_122)
const waits = { timeout: 120_000, interval: 250 }

/** Files below a folder that have one of the texts anywhere. */
function filesWith(folder: string, texts: readonly (string | Buffer)[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => statSync(join(folder, name)).isFile())
    .filter(name => {
      const bytes = readFileSync(join(folder, name))
      return texts.some(text => bytes.includes(text))
    })
}

const keptOf = (all: readonly Sent[]): Sent[] =>
  all.filter(({ isSubject, isKept }) => isSubject && isKept)

/** Sends traces of the subject among others, and waits until they are in cold. */
async function written(running: RunningWinnow, blobs: FileBlobStore, seedOf: number) {
  const all = subjectAmong(4, Random.of(seed, seedOf))
  await sendAll(running, all, Date.now())
  const isWritten = async () => {
    const ids = await warmTraces(blobs)
    expect(keptOf(all).filter(({ traceId }) => !ids.has(traceId))).toEqual([])
  }
  await vi.waitFor(isWritten, waits)
  return keptOf(all)
}

/** What stands in cold for the subject's `user.id_hash`, in those traces. */
async function hashesOf(blobs: FileBlobStore, traces: readonly Sent[]): Promise<Set<string>> {
  const ids = new Set(traces.map(({ traceId }) => traceId))
  const hashes = new Set<string>()
  for await (const { key } of listSegments(blobs, 'cold')) {
    for (const row of await readAllSpans(blobs, key)) {
      if (!ids.has(row.trace_id)) continue
      const { 'user.id_hash': who } = JSON.parse(row.attributes) as Record<
        string,
        { readonly stringValue: string }
      >
      if (who !== undefined) hashes.add(who.stringValue)
    }
  }
  return hashes
}

test('once a tenant’s cold keys are destroyed its strings of before equal none of after, and the keys are nowhere', {
  timeout: 300_000,
}, async () => {
  console.info(`seed ${seed}`)
  const env = { ...shortWaits, WINNOW_TOPICS_PARTITIONS: '2' }
  let running = await startWinnow({ env })
  const { data } = running
  onTestFinished(async () => {
    await running.kill9()
    rmSync(data, { recursive: true, force: true })
  })
  const blobs = FileBlobStore.existing(join(data, 'blobs'))
  const file = join(data, 'keys', 'cold', 'default.key')
  const command = (...args: string[]) =>
    winnow(['cold-keys', ...args, '--tenant', 'default', '--data', data, '--json'], env)

  const first = await written(running, blobs, 21)
  const again = await written(running, blobs, 22)
  const before = await hashesOf(blobs, [...first, ...again])
  expect([...before]).toEqual([expect.stringMatching(/^h_/)])

  const rotated = JSON.parse((await command('rotate')).stdout)
  expect(rotated.older).toHaveLength(1)
  const third = await written(running, blobs, 23)
  const between = await hashesOf(blobs, third)
  expect([...between]).toEqual([expect.stringMatching(/^h_/)])
  expect([...between]).not.toEqual([...before])

  const bytes = readFileSync(file)
  const keys = [bytes.subarray(0, 32), bytes.subarray(32)]
  const shapes = keys.flatMap(key => [
    key,
    key.toString('hex'),
    key.toString('base64url'),
    key.toString('base64'),
  ])
  expect(filesWith(data, shapes)).toEqual([join('keys', 'cold', 'default.key')])
  const unsaid = await command('destroy')
  expect([unsaid.code, unsaid.stderr]).toEqual([2, expect.stringContaining('--confirm default')])
  const wrong = await command('destroy', '--confirm', 'defaul')
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('"defaul"')])
  expect(readFileSync(file)).toEqual(bytes)
  const receipt = JSON.parse((await command('destroy', '--confirm', 'default')).stdout)
  expect(receipt).toMatchObject({
    tenant: 'default',
    destroyed: [...rotated.older, rotated.current],
    older: [],
    notReached: expect.arrayContaining([expect.stringContaining('backups')]),
  })
  expect(filesWith(data, shapes)).toEqual([])
  expect(statSync(file).mode & 0o777).toBe(0o600)

  const last = await written(running, blobs, 24)
  const after = await hashesOf(blobs, last)
  expect([...after]).toEqual([expect.stringMatching(/^h_/)])
  expect(before.union(between).intersection(after).size).toBe(0)
  expect(JSON.parse((await command('list')).stdout)).toMatchObject({
    current: receipt.current,
    older: [],
  })

  // What stands in cold alone is read as ever, and says that it can be compared with nothing.
  expect(await running.stop()).toBe(0)
  expect(filesWith(data, shapes)).toEqual([])
  rmSync(join(data, 'hot'), { recursive: true })
  rmSync(join(data, 'blobs', 'warm'), { recursive: true })
  running = await startWinnow({ env, data })
  const contentOf = async ({ traceId }: Sent) => {
    const { status, body } = await api<{ content: object }>(running, `/traces/${traceId}`)
    expect(status).toBe(200)
    return body.content
  }
  for (const sent of [...first, ...third]) {
    expect(await contentOf(sent)).toMatchObject({ level: 'hashed', unlinkable: true })
  }
  for (const sent of last) {
    const content = await contentOf(sent)
    expect(content).toMatchObject({ level: 'hashed' })
    expect(content).not.toHaveProperty('unlinkable')
  }
  const shown = await winnow(['trace', first[0]?.traceId ?? '', '--url', `http://${running.api}`])
  expect(shown.stdout).toContain('whose key has been destroyed')
  // An erasure of the subject goes on as ever: what the bus has of it is found by its value.
  expect(await erasedDry(running)).toMatchObject({ state: 'done', traces: 4 * subjectTraces })
})
