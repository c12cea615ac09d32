// A real Prometheus scrapes the running pipeline, and every query of every board and alert is put to it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boardQueries, dataWaits, expectData } from '../support/board-queries.ts'
import { boardEnv, playForBoards, watchingPolicy } from '../support/board-traffic.ts'
import { type RunningWinnow, startWinnow } from '../support/winnow-process.ts'
import { missingForPrometheus, startPrometheus, type TestPrometheus } from './prometheus.ts'
import { refuse } from './refuse.ts'

const seed = Number(process.env.TEST_SEED ?? 20_261_121)
const why = missingForPrometheus()
const fact = test.runIf(why === undefined)

let prometheus: TestPrometheus
let folder: string
let traffic: Promise<void>
const running: RunningWinnow[] = []
const enough = new AbortController()

beforeAll(async () => {
  if (why !== undefined) return
  console.info(`seed ${seed}`)
  folder = mkdtempSync(join(tmpdir(), 'winnow-boards-'))
  const policy = join(folder, 'policy.yaml')
  writeFileSync(policy, watchingPolicy)
  const winnow = await startWinnow({ env: { ...boardEnv, WINNOW_POLICY: policy } })
  running.push(winnow)
  prometheus = await startPrometheus(running.map(({ metrics }) => metrics))
  traffic = playForBoards(winnow, seed, enough.signal)
})

afterAll(async () => {
  enough.abort()
  await traffic
  await prometheus?.stop()
  for (const winnow of running) {
    await winnow.stop()
    winnow.clean()
  }
  if (folder !== undefined) rmSync(folder, { recursive: true })
})

test('a Prometheus is to be had', ({ skip }) => {
  if (why !== undefined) refuse(skip, why)
})

/** Nothing else is there but one process: test/stack/compose.test.ts asks these on the whole stack. */
const here = boardQueries.filter(({ needs }) => needs === undefined || needs === 'one process')

for (const { name, expr } of here) {
  fact(`${name}: there is data`, () => expectData(prometheus, expr))
}

fact(
  'a query of a metric that nobody has finds nothing, and is told from one that has',
  async () => {
    const broken = 'sum by (tenant) (rate(winnow_spans_recieved_total[1m]))'
    expect(await prometheus.query(broken)).toEqual([])
    await expect(prometheus.query('sum by (tenant) (rate(winnow_spans')).rejects.toThrow(
      /parse error/,
    )
  },
)

fact('every rule is evaluated without an error, on metrics that are there', async () => {
  await expect
    .poll(async () => {
      const rules = await prometheus.rules()
      return rules
        .filter(({ health }) => health !== 'ok')
        .map(({ name, lastError }) => [name, lastError])
    }, dataWaits)
    .toEqual([])
  const rules = await prometheus.rules()
  expect(rules.length).toBeGreaterThan(10)
  const names = new Set(rules.flatMap(({ query }) => query.match(/\bwinnow[_:][a-z0-9_:]+/g) ?? []))
  expect([...names]).toEqual(expect.arrayContaining(Object.keys(elsewhere)))
  for (const name of names) if (!(name in elsewhere)) await expectData(prometheus, name)
})

fact('a pipeline that keeps up fires no alert', async () => {
  const firing = await prometheus.query('ALERTS{alertstate="firing"}')
  expect(firing.map(({ labels }) => labels.alertname)).toEqual([])
})

/** What a process has no metric of without a service, a certificate or a policy of its own. */
const elsewhere: Readonly<Record<string, string>> = {
  winnow_trace_buffer_up: 'needs Redis',
  winnow_tls_certificate_expires_timestamp_seconds: 'needs a certificate',
  winnow_ceiling_use_ratio: 'needs a ceiling in the policy',
  winnow_audit_findings: 'needs an audit that is scheduled',
  winnow_audit_finished_timestamp_seconds: 'needs an audit that is scheduled',
  winnow_variant_forecast_share: 'needs a minute of traffic to forecast from',
  winnow_variant_share_max: 'needs shareMax in the policy',
}
