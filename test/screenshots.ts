// `npm run screenshots`: the pictures of docs/cost.md, of a pipeline that ran for a week by its clock: every day some of
// the generator's traffic goes through it, and what it wrote bears that day.

import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CostAnswer } from '@winnow/cost'
import { OtlpClient, postEvaluations, trafficEvents } from '@winnow/testing'
import { MovedClock } from './crash/moved-clock.ts'
import { openBrowser } from './support/browser.ts'
import { type RunningWinnow, startWinnow } from './support/winnow-process.ts'

/** What a reader of the docs loads for one of them. */
const pictureBytesMax = 150_000

const days = 7
const dayMs = 86_400_000
const settleMs = 120_000
const docs = resolve(import.meta.dirname, '../docs/pictures')

const clock = new MovedClock()
const data = mkdtempSync(join(tmpdir(), 'winnow-pictures-'))
await clock.jump((1 - days) * dayMs)
for (let day = 0; day < days; day++) {
  const running = await startWinnow({ ...clock.options, data })
  if (day > 0) await sleep(2_000)
  await traffic(running, day)
  if (day === days - 1) await shoot(running)
  await running.stop()
  // Files bear the machine's time, as objects of a store bear the store's.
  date(clock.nowMs)
  if (day < days - 1) await clock.jump(dayMs)
}
rmSync(data, { recursive: true })
clock.remove()

async function traffic(running: RunningWinnow, day: number): Promise<void> {
  const startMs = clock.nowMs
  const before = await tracesOf(running)
  const events = [
    ...trafficEvents({
      seed: 48 + day,
      traces: 120 + 40 * ((day * 3) % 5),
      startMs,
      quick: true,
      tenants: ['default'],
      tracesPerSecond: 400,
    }),
  ]
  const client = new OtlpClient({ transport: 'http-protobuf', address: running.otlpHttp })
  const ids = new Set<string>()
  for (const event of events) {
    if (event.kind === 'trace') ids.add(event.traceId)
    if (event.kind === 'request') await client.sendTraces(event.data)
  }
  client.close()
  const evaluations = events.filter(event => event.kind === 'evaluation')
  await postEvaluations({ address: running.api }, evaluations)
  const untilMs = Date.now() + settleMs
  let found = 0
  while (found < before + ids.size) {
    if (Date.now() > untilMs) {
      throw new Error(`day ${day}: ${found} traces of ${before + ids.size} are in the ledger`)
    }
    await sleep(1_000)
    found = await tracesOf(running)
  }
  process.stdout.write(`day ${day}: ${found} traces\n`)
}

async function tracesOf({ api }: RunningWinnow): Promise<number> {
  const response = await fetch(`http://${api}/api/v1/cost?days=30&daily=true`)
  const { days: decided = [] } = (await response.json()) as CostAnswer
  return decided.reduce((sum, { all }) => sum + all.traces, 0)
}

function date(nowMs: number): void {
  const blobs = join(data, 'blobs')
  for (const path of readdirSync(blobs, { recursive: true, encoding: 'utf8' })) {
    const name = join(blobs, path)
    const found = statSync(name)
    if (found.isFile() && found.mtimeMs > nowMs + dayMs / 2) {
      utimesSync(name, nowMs / 1000, nowMs / 1000)
    }
  }
}

async function shoot({ api }: RunningWinnow): Promise<void> {
  const browser = await openBrowser()
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ viewport: { width: 1000, height: 900 }, colorScheme })
    await page.goto(`http://${api}/ui/#/cost?days=7&tenants=all`)
    await page.locator('canvas').nth(2).waitFor()
    await sleep(1_000)
    await picture(`cost-${colorScheme}.png`, path => page.screenshot({ path }))
    if (colorScheme === 'light') {
      const row = page.locator('section:has(> #shares) tbody tr', { hasText: 'low-csat' })
      await row.getByRole('link', { name: 'low-csat, written' }).click()
      await page.locator('table.rows').waitFor()
      await page.setViewportSize({ width: 1000, height: 420 })
      await picture('cost-rows.png', path => page.screenshot({ path }))
    }
    await page.close()
  }
  await browser.close()
}

async function picture(name: string, take: (path: string) => Promise<unknown>): Promise<void> {
  const path = join(docs, name)
  await take(path)
  const { size } = statSync(path)
  process.stdout.write(`${name}: ${size} bytes\n`)
  if (size > pictureBytesMax) throw new RangeError(`${name} is over ${pictureBytesMax} bytes`)
}
