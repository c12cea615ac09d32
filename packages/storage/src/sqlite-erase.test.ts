import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { HotTrace } from './hot-store.ts'
import { DatabaseSync } from './node-sqlite.ts'
import { sampleSpanRow, sampleTrace, sampleTraceId } from './samples.ts'
import { SpanPack } from './span-pack.ts'
import { SqliteHotStore } from './sqlite-hot-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'sqlite-erase-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A trace that says its word in its rows and in its text. */
function saying(n: number, word: string): HotTrace {
  const trace = sampleTrace(n)
  const attributes = JSON.stringify({ 'user.id_hash': { stringValue: word } })
  const rows = [0, 1, 2].map(at => sampleSpanRow(sampleTraceId(n), at, { attributes }))
  const bytes = new TextEncoder().encode(`${word} says it in prose `.repeat(20))
  return { ...trace, spans: SpanPack.of(rows), bodies: [{ ref: `0:${n}:0`, bytes }] }
}

function filesWith(data: string, word: string): string[] {
  return readdirSync(data).filter(name => readFileSync(join(data, name)).includes(word))
}

test('no byte of an erased trace is in any file: no row, free page, moved cell, log or text', async () => {
  const data = join(folder, 'bytes')
  const store = new SqliteHotStore(data)
  const count = 300
  for (let n = 0; n < count; n += 10) {
    await store.put(
      Array.from({ length: 10 }, (_, at) => saying(n + at, `subject-${(n + at) % 3}`)),
    )
  }
  // A reader of another process, as the query's thread is.
  const reader = new SqliteHotStore(data)
  expect((await reader.get('default', sampleTraceId(1)))?.spans.length).toBe(3)
  const ids = Array.from({ length: count / 3 }, (_, n) => sampleTraceId(3 * n + 1))
  expect(filesWith(data, 'subject-1').length).toBeGreaterThan(1)
  expect(await store.erase('default', ids)).toMatchObject({ traces: 100, rows: 300 })
  expect(filesWith(data, 'subject-1')).toEqual([])
  expect(filesWith(data, 'subject-2').length).toBeGreaterThan(1)
  for (const n of [0, 2, 299]) {
    const read = await reader.get('default', sampleTraceId(n))
    expect(read?.bodies).toEqual(saying(n, `subject-${n % 3}`).bodies)
    expect(read?.spans.length).toBe(3)
  }
  // Both write on as before.
  await store.put([saying(1, 'again')])
  expect((await reader.get('default', sampleTraceId(1)))?.spans.length).toBe(3)
  await reader.close()
  await store.close()
})

test('an erasure that was cut short behind its deletion writes the file anew, though no row is left', async () => {
  const data = join(folder, 'cut')
  const store = new SqliteHotStore(data)
  await store.put(
    Array.from({ length: 60 }, (_, n) => saying(n, n % 2 === 0 ? 'subject' : 'other')),
  )
  await store.close()
  const [name = ''] = readdirSync(data).filter(one => one.endsWith('.sqlite'))
  const database = new DatabaseSync(join(data, name))
  // As a process leaves it that was killed: deleted without care for what stays in the pages.
  database.exec('PRAGMA secure_delete = OFF')
  database.exec('BEGIN')
  const ids = Array.from({ length: 30 }, (_, n) => sampleTraceId(2 * n))
  const named = JSON.stringify(ids)
  database
    .prepare(
      'DELETE FROM parts WHERE trace IN (SELECT id FROM traces WHERE trace_id IN (SELECT value FROM json_each(?)))',
    )
    .run(named)
  database
    .prepare('DELETE FROM traces WHERE trace_id IN (SELECT value FROM json_each(?))')
    .run(named)
  database.exec('PRAGMA user_version = 1')
  database.exec('COMMIT')
  database.close()
  expect(filesWith(data, 'subject')).toContain(name)
  const again = new SqliteHotStore(data)
  expect(await again.erase('default', ids)).toEqual({ traces: 0, rows: 0, bytes: 0 })
  expect(filesWith(data, 'subject')).not.toContain(name)
  expect((await again.get('default', sampleTraceId(1)))?.spans.length).toBe(3)
  await again.close()
})
