import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { sampleTraceId } from './samples.ts'
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
