// What `winnow cost` says is stored, beside the files themselves.

import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OtlpClient, trace48f } from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startWinnow, winnow } from './support/winnow-process.ts'

interface Report {
  readonly stored: readonly { where: string; bytes: number; objects: number; foreign: number }[]
  readonly lines: readonly { tier: string; dollars: number }[]
  readonly monthTotal: number
  readonly measuredDays: number
}

test('what is stored is told to the byte, beside a running pipeline and after it', async () => {
  const running = await startWinnow()
  onTestFinished(async () => {
    await running.kill9()
    running.clean()
  })
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  await client.sendTraces(trace48f({ startMs: Date.now() }))
  client.close()
  await vi.waitFor(
    async () => expect(objectsOf(await costOf(running.data), 'cold/')).toBeGreaterThan(0),
    { timeout: 60_000, interval: 500 },
  )
  expect(await running.stop()).toBe(0)
  const report = await costOf(running.data)
  for (const found of report.stored) {
    if (found.where === 'hot') continue
    expect(found).toMatchObject({ ...filesIn(running.data, found.where), foreign: 0 })
  }
  expect(report.stored[0]?.bytes).toBeGreaterThan(0)
  expect(report.measuredDays).toBeGreaterThan(0)
  const sum = report.lines.reduce((total, { dollars }) => total + dollars, 0)
  expect(report.monthTotal).toBeCloseTo(sum, 9)
  writeFileSync(join(running.data, 'blobs', 'warm', 'copy.parquet'), 'somebody’s')
  const { stdout } = await winnow(['cost', '--data', running.data])
  expect(stdout).toContain('1 of these objects have names that no writer gives')
  expect(stdout).toMatch(/A month, once every tier is full, at the rate of the last .* minutes/)
})

test('prices come from the configuration, and a wrong one is named', async () => {
  const fixed = { WINNOW_COSTS_FIXED: '[{ name: three brokers, month: 420 }]' }
  const empty = mkdtempSync(join(tmpdir(), 'winnow-cost-'))
  onTestFinished(() => rmSync(empty, { recursive: true }))
  const { stdout, code } = await winnow(['cost', '--data', empty, '--json'], fixed)
  expect(code).toBe(0)
  expect((JSON.parse(stdout) as Report).lines).toContainEqual(
    expect.objectContaining({ tier: 'fixed', what: 'three brokers', dollars: 420 }),
  )
  const wrong = await winnow(['cost', '--data', '/nowhere'], { WINNOW_COSTS_WARM_GB_MONTH: '-1' })
  expect(wrong.code).not.toBe(0)
  expect(wrong.stderr).toContain('costs.warm.gbMonth')
  const days = await winnow(['cost', '--data', '/nowhere', '--days', '0'])
  expect([days.code, days.stderr]).toEqual([2, 'winnow: --days is 0: give 1 to 365\n'])
})

async function costOf(data: string): Promise<Report> {
  const { stdout, stderr } = await winnow(['cost', '--data', data, '--json'])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Report
}

function objectsOf({ stored }: Report, where: string): number {
  return stored.find(one => one.where === where)?.objects ?? 0
}

function filesIn(data: string, where: string): { bytes: number; objects: number } {
  const folder = join(data, 'blobs', where)
  if (!existsSync(folder)) return { bytes: 0, objects: 0 }
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => statSync(join(entry.parentPath, entry.name)).size)
  return { bytes: files.reduce((sum, bytes) => sum + bytes, 0), objects: files.length }
}
