// What identifies somebody is nowhere: planted in every place by every transport, looked for in every byte left behind.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Canaries, marker, readings, seenIn } from './support/canaries.ts'
import { sendPlanted } from './support/send-planted.ts'
import { startWinnow } from './support/winnow-process.ts'

function filesUnder(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
  return found.filter(one => one.isFile()).map(one => join(one.parentPath, one.name))
}

test('200 canaries of every kind, in every place, by every transport, are in no byte that is left behind', async () => {
  const data = mkdtempSync(join(tmpdir(), 'winnow-canaries-'))
  onTestFinished(() => rmSync(data, { recursive: true }))
  const running = await startWinnow({ data, env: { WINNOW_SAMPLER_SNAPSHOT_EVERY: '1s' } })
  const canaries = new Canaries(1_000)
  const answers = await sendPlanted(running, canaries)
  expect(canaries.planted.length).toBeGreaterThanOrEqual(200)
  const storedEverywhere = () => {
    const files = filesUnder(data)
    const holds = (part: RegExp, text: string): boolean =>
      files.some(
        path =>
          part.test(path) && readings(readFileSync(path)).some(reading => reading.includes(text)),
      )
    expect(holds(/spans/, marker), 'spans').toBe(true)
    expect(holds(/evidence/, marker), 'evidence').toBe(true)
    expect(holds(/sqlite|\.db/, marker), 'hot').toBe(true)
    expect(holds(/warm.*parquet$/, 'canary-shop'), 'warm').toBe(true)
    expect(holds(/cold.*parquet$/, 'canary-shop'), 'cold').toBe(true)
  }
  await vi.waitFor(storedEverywhere, { timeout: 90_000, interval: 500 })
  const metrics = await (await fetch(`http://${running.metrics}/metrics`)).text()
  expect(metrics).toMatch(/winnow_redacted_total\{.*kind="email".*service="canary-shop"/)
  const seen = [
    ...seenIn('an answer', Buffer.from(answers), canaries.planted),
    ...seenIn('the metrics', Buffer.from(metrics), canaries.planted),
    ...seenIn('the log', Buffer.from(running.stderr()), canaries.planted),
    ...filesUnder(data).flatMap(path =>
      seenIn(path.slice(data.length), readFileSync(path), canaries.planted),
    ),
  ]
  await running.stop()
  const after = filesUnder(data).flatMap(path =>
    seenIn(path.slice(data.length), readFileSync(path), canaries.planted),
  )
  expect([...new Set([...seen, ...after])]).toEqual([])
})

test('without redaction the same search finds them', async () => {
  const data = mkdtempSync(join(tmpdir(), 'winnow-canaries-'))
  onTestFinished(() => rmSync(data, { recursive: true }))
  const running = await startWinnow({ data, env: { WINNOW_PRIVACY_REDACT: 'false' } })
  onTestFinished(async () => void (await running.stop()))
  const canaries = new Canaries(5_000)
  await sendPlanted(running, canaries)
  const found = filesUnder(data).flatMap(path => seenIn('', readFileSync(path), canaries.planted))
  expect(new Set(found).size).toBeGreaterThan(100)
})
