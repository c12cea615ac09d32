// A disk of its own that runs full: a file system in memory, which only root may mount.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TracesData } from '@winnow/otlp'
import { OtlpClient, Random, sentSpans } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { keyOf } from '../support/pipeline-harness.ts'
import { accountOf } from './account.ts'
import { CrashRun } from './crash-run.ts'
import { upSystem } from './systems.ts'

const seed = 91
const mib = 1 << 20
const freeMinBytes = 48 * mib

test('a disk that fills up: spans are refused before it is full, what is there is read, room lets it go on', {
  timeout: 300_000,
}, async ({ skip }) => {
  const folder = mountDisk(160)
  if (folder === undefined) return skip('only root may mount a file system')
  const data = join(folder, 'data')
  mkdirSync(data)
  const system = await upSystem({ data, env: { WINNOW_FILE_FREE_MIN: '48MiB' } })
  onTestFinished(() => system.remove())
  const run = new CrashRun({ seed, system, tracesPerSecond: 40 })
  await run.manyOpen(100)
  const before = run.traffic.acknowledgedSpans
  const { otlpHttp, api } = system.entrances
  const client = new OtlpClient({
    transport: 'http-protobuf',
    address: otlpHttp,
    apiKey: keyOf('acme'),
    attemptsMax: 1,
  })
  const filler = fillerOf(run.traffic.sample().data)
  const taken: TracesData[] = []
  let refused: Awaited<ReturnType<OtlpClient['sendTraces']>> | undefined
  for (let n = 0; n < 1_000 && refused === undefined; n++) {
    const request = filler(n)
    const answer = await client.sendTraces(request)
    if (answer.acknowledged) taken.push(request)
    else refused = answer
  }
  console.log(
    `seed ${seed}: refused after ${taken.length / 2} MiB, ${freeOf(folder) >> 20} MiB free`,
  )
  expect(refused).toMatchObject({ status: 503, retryable: true })
  // The guard leaves room for the stores and the positions, which go on.
  expect(freeOf(folder)).toBeGreaterThan(freeMinBytes / 4)
  // What is there stays readable, and the process alive.
  const headers = { authorization: `Bearer ${keyOf('acme')}` }
  const listed = await fetch(`http://${api}/api/v1/search?limit=5`, { headers })
  expect(listed.status).toBe(200)
  expect(run.traffic.acknowledgedSpans).toBeGreaterThanOrEqual(before)
  execFileSync('mount', ['-o', 'remount,size=1g', folder])
  while (!(await client.sendTraces(filler(1_000))).acknowledged) await sleep(200)
  taken.push(filler(1_000))
  client.close()
  const sent = await run.traffic.finish()
  const fillers = taken.map(one => ({
    kind: 'request' as const,
    tenant: 'acme',
    atMs: 0,
    data: one,
  }))
  const { figures, violations } = await accountOf(system, seed, {
    ...sent,
    requests: [...sent.requests, ...fillers],
  })
  console.log(`seed ${seed}: ${JSON.stringify(figures)}, refused ${run.traffic.refused}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
})

/** A folder that is a disk of so many MiB, unmounted after the test; undefined where that is not allowed. */
function mountDisk(sizeMib: number): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'winnow-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', folder])
  if (mounted.status !== 0) {
    rmSync(folder, { recursive: true })
    return undefined
  }
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true })
  })
  return folder
}

function freeOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

/** Requests of four spans of 128 KiB each, every one a trace of its own. */
function fillerOf(like: TracesData): (n: number) => TracesData {
  const [sent] = sentSpans(like)
  if (sent === undefined) throw new Error('there is no span to be like')
  const { resource, scope, span } = sent
  const random = Random.of(seed, 1)
  const value = { stringValue: random.hex(16 * 1024) }
  const id = (n: number): string => n.toString(16).padStart(8, '0')
  const spanOf = (n: number) => ({
    ...span,
    traceId: `f1f1f1f1f1f1f1f1f1${id(n)}f1f1f1`,
    spanId: `f1f1f1f1${id(n)}`,
    parentSpanId: '',
    attributes: [{ key: 'filler', value }],
  })
  return n => ({
    resourceSpans: [
      {
        resource,
        schemaUrl: '',
        scopeSpans: [{ scope, schemaUrl: '', spans: [0, 1, 2, 3].map(at => spanOf(4 * n + at)) }],
      },
    ],
  })
}
