// A backtest, proven: what it predicts against what a run under that policy then keeps.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BacktestReport } from '@winnow/sampler'
import { FileBlobStore, listSegments } from '@winnow/storage'
import { OtlpClient, trafficEvents } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startWinnow, winnow } from './support/winnow-process.ts'

const seed = 7
const traces = 3_000
/** The same spans in both runs. */
const startMs = Date.now()
const policies = {
  a: rules('a', 0.3),
  b: `version: b\nrules:\n  - kind: span-error\n  - { kind: judge-failed, probability: 0.5 }\n  - kind: citation-failed\n  - { kind: low-csat, atMost: 3 }\n  - kind: outcome-failed\n  - { kind: ordinary, probability: 0.12 }\n`,
}

function rules(version: string, probability: number): string {
  return `version: ${version}\nrules:\n  - kind: span-error\n  - kind: judge-failed\n  - kind: citation-failed\n  - kind: low-csat\n  - kind: outcome-failed\n  - { kind: ordinary, probability: ${probability} }\n`
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-backtest-'))
  for (const [name, text] of Object.entries(policies)) writeFileSync(join(folder, name), text)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** One seed's traffic under a policy, in a folder of its own. */
async function play(name: keyof typeof policies): Promise<string> {
  const data = join(folder, `data-${name}`)
  const config = join(folder, `${name}.yaml`)
  writeFileSync(config, `policy: ${join(folder, name)}\ntopics: { partitions: 2 }\n`)
  const running = await startWinnow({
    data,
    args: ['--config', config],
    env: { WINNOW_WRITER_SEGMENT_AGE: '10min' },
  })
  try {
    const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
    const events = [...trafficEvents({ seed, traces, tenants: ['default'], startMs, quick: true })]
    const requests = events.filter(event => event.kind === 'request')
    for (const { data: sent } of requests) await client.sendTraces(sent)
    client.close()
    const ids = events.flatMap(event => (event.kind === 'trace' ? [event.traceId] : []))
    const outcomes = events.filter(event => event.kind === 'evaluation')
    for (let at = 0; at < outcomes.length; at += 200) {
      const body = outcomes
        .slice(at, at + 200)
        .map(({ kind, tenant, atMs, madeAtMs, ...own }) => own)
      const url = `http://${running.api}/api/v1/evaluations`
      const { status } = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
      expect(status).toBe(202)
    }
    let before = ''
    await vi.waitFor(
      async () => {
        const { stdout } = await winnow(['sampling', '--json', '--url', `http://${running.api}`])
        const { kept, dropped } = JSON.parse(stdout)
        const last = before
        before = stdout
        expect(kept + dropped).toBe(new Set(ids).size)
        expect(stdout).toBe(last)
      },
      { timeout: 180_000, interval: 1_500 },
    )
  } finally {
    await running.stop()
  }
  return data
}

async function bytesOf(data: string): Promise<Record<string, number>> {
  const blobs = await FileBlobStore.existing(join(data, 'blobs'))
  const sums: Record<string, number> = {}
  for (const tier of ['warm', 'cold', 'ledger'] as const) {
    for await (const { bytes } of listSegments(blobs, tier)) sums[tier] = (sums[tier] ?? 0) + bytes
  }
  await blobs.close()
  return sums
}

const backtestOf = async (data: string, policy: string, ...args: readonly string[]) => {
  const config = join(folder, `${data.endsWith('a') ? 'a' : 'b'}.yaml`)
  const all = ['--policy', policy, '--since', '1h', '--data', data, '--config', config, '--json']
  const run = await winnow(['backtest', ...all, ...args])
  return {
    ...run,
    report: run.stdout === '' ? undefined : (JSON.parse(run.stdout) as BacktestReport),
  }
}

let dataA: string

test('what it predicts is what a run under the policy then keeps, within 2 %', async () => {
  dataA = await play('a')
  const dataB = await play('b')
  const same = await backtestOf(dataA, join(folder, 'a'))
  expect(same).toMatchObject({ code: 0, report: { flips: { toKeep: 0, toDrop: 0 } } })
  const { report: predicted } = await backtestOf(dataA, join(folder, 'b'))
  const { report: real } = await backtestOf(dataB, join(folder, 'b'))
  const written = await bytesOf(dataB)
  expect(predicted?.kept.after.traces).toBe(real?.kept.before.traces)
  for (const tier of ['hot', 'warm', 'cold'] as const) {
    const wanted = tier === 'hot' ? real?.kept.before.sliceBytes : written[tier]
    const ratio = (predicted?.tiers[tier].after ?? 0) / (wanted ?? 0)
    console.log(`seed ${seed}: ${tier} predicted ${(ratio * 100).toFixed(2)} % of what was kept`)
    expect(ratio, tier).toBeGreaterThan(0.98)
    expect(ratio, tier).toBeLessThan(1.02)
  }
})

test('a policy that loses one known-bad trace ends with 1, and its id is told', async () => {
  const { report } = await backtestOf(dataA, join(folder, 'b'))
  const [lost = ''] = report?.knownBad.lostIds ?? []
  expect(lost).toMatch(/^[0-9a-f]{32}$/)
  const bad = join(folder, 'bad.txt')
  writeFileSync(bad, `# an incident\n${lost}\n`)
  const b = await backtestOf(dataA, join(folder, 'b'), '--known-bad', bad)
  expect(b.code).toBe(1)
  expect(b.stderr).toContain('loses 1 known-bad traces')
  expect(b.report?.knownBad).toMatchObject({ source: 'file', found: 1, lost: 1, lostIds: [lost] })
  const a = await backtestOf(dataA, join(folder, 'a'), '--known-bad', bad)
  expect(a).toMatchObject({ code: 0, report: { knownBad: { found: 1, lost: 0 } } })
})

test('a policy that asks for what was not recorded is refused with what and since when', async () => {
  const slow = join(folder, 'slow')
  writeFileSync(slow, 'version: s\nrules: [{ kind: slow, quantile: 0.9 }, { kind: ordinary }]')
  const refused = await backtestOf(dataA, slow)
  expect(refused.code).toBe(2)
  expect(refused.stderr).toMatch(
    /slow needs the bar of duration at the quantile 0.9, which is not recorded/,
  )
})

test('it keeps at most what it may', async () => {
  const over = await backtestOf(dataA, join(folder, 'a'), '--max-share', '0.01')
  expect(over.code).toBe(1)
  expect(over.stderr).toMatch(/keeps \d+\.\d+ %, more than --max-share 0.01/)
})
