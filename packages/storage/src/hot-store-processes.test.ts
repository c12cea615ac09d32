import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { dayMs } from './hot-period.ts'
import { sampleTimeMs, sampleTrace, sampleTraceId } from './samples.ts'
import { SqliteHotStore } from './sqlite-hot-store.ts'

test('sqlite: processes that make and write the same files at once all succeed, and one more reads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hot-processes-'))
  const [writers, each] = [3, 40]
  const children = Array.from({ length: writers }, (_, n) =>
    spawn(
      process.execPath,
      [join(import.meta.dirname, 'hot-writer.fixture.ts'), folder, `${n * each}`, `${each}`],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    ),
  )
  await Promise.all(children.map(child => once(child.stdout, 'data')))
  const ended = children.map(child => once(child, 'exit'))
  for (const child of children) child.stdin.end('go\n')
  const reader = new SqliteHotStore(folder)
  let isOver = false
  const all = Promise.all(ended).finally(() => {
    isOver = true
  })
  while (!isOver) {
    await reader.get('default', sampleTraceId(1))
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  expect((await all).map(([code]) => code)).toEqual([0, 0, 0])
  for (let n = 0; n < writers * each; n++) {
    expect((await reader.get('default', sampleTraceId(n)))?.spans.length, `trace ${n}`).toBe(2)
  }
  await reader.close()
  rmSync(folder, { recursive: true })
})

test('sqlite: files that expire under another process’s hands are gone for it, and made anew', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hot-expiry-'))
  const store = new SqliteHotStore(folder)
  await store.put([sampleTrace(1)])
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'hot-reader.fixture.ts'), folder],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  while (!said.includes('ready')) await new Promise(resolve => setTimeout(resolve, 5))
  for (let round = 0; round < 20; round++) {
    await new Promise(resolve => setTimeout(resolve, 10))
    await store.expire(sampleTimeMs + 30 * dayMs)
    expect(await store.get('default', sampleTraceId(1))).toBeUndefined()
    await store.put([sampleTrace(1)])
    expect((await store.get('default', sampleTraceId(1)))?.bodies.length).toBe(1)
  }
  const ended = once(child, 'exit')
  child.stdin.end()
  expect(await ended).toEqual([0, null])
  const [found = 0, torn] = (said.split('\n')[1] ?? '').split(' ').map(Number)
  expect(found).toBeGreaterThan(0)
  expect(torn).toBe(0)
  await store.close()
  rmSync(folder, { recursive: true })
})
