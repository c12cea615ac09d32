import { mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { dayMs, hourMs, parsePeriod, periodName } from './hot-period.ts'
import { hotStoreContract } from './hot-store.contract.ts'
import { MemoryHotStore } from './memory-hot-store.ts'
import { DatabaseSync } from './node-sqlite.ts'
import { sampleTimeMs, sampleTrace, sampleTraceId } from './samples.ts'
import { hotFormat } from './sqlite-file.ts'
import { hotFilesOpenMax, SqliteHotStore } from './sqlite-hot-store.ts'
import { textRowBytesMax } from './sqlite-text.ts'

const made: string[] = []

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hot-'))
  made.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true })
})

hotStoreContract('memory', async life => new MemoryHotStore(life))
hotStoreContract('sqlite', async life => new SqliteHotStore(join(newFolder(), 'hot'), life))

test('sqlite: one file a day of traces and an hour of text, found again by another process', async () => {
  const folder = newFolder()
  const [writer, reader] = [new SqliteHotStore(folder), new SqliteHotStore(folder)]
  const late = { seriesAtMs: sampleTimeMs + dayMs, decidedAtMs: sampleTimeMs + dayMs + hourMs }
  expect(await reader.get('default', sampleTraceId(1))).toBeUndefined()
  await writer.put([sampleTrace(1), sampleTrace(2, 2, 1, late)])
  const files = readdirSync(folder).filter(name => name.endsWith('.sqlite'))
  expect(files.toSorted()).toEqual([
    'text-2026-11-21T07.sqlite',
    'text-2026-11-22T08.sqlite',
    'traces-2026-11-21.sqlite',
    'traces-2026-11-22.sqlite',
  ])
  expect((await reader.get('default', sampleTraceId(1)))?.bodies.length).toBe(1)
  await writer.expire(sampleTimeMs + 8 * dayMs)
  expect(await reader.get('default', sampleTraceId(1))).toBeUndefined()
  expect((await reader.get('default', sampleTraceId(2)))?.spans.length).toBe(1)
  await writer.close()
  await reader.close()
})

test('sqlite: a file removed under an open store is made anew, not written to in the dark', async () => {
  const folder = newFolder()
  const store = new SqliteHotStore(folder)
  await store.put([sampleTrace(1)])
  for (const name of readdirSync(folder)) unlinkSync(join(folder, name))
  await store.put([sampleTrace(2)])
  expect(await store.get('default', sampleTraceId(1))).toBeUndefined()
  await store.close()
  const again = new SqliteHotStore(folder)
  expect((await again.get('default', sampleTraceId(2)))?.bodies.length).toBe(1)
  await again.close()
})

test('sqlite: bodies beyond one row’s bytes come back whole', async () => {
  const store = new SqliteHotStore(newFolder())
  const sizes = [textRowBytesMax - 1, 1, 1, textRowBytesMax + 1, 5]
  const bodies = sizes.map((size, n) => ({ ref: `3:${n}:0`, bytes: new Uint8Array(size).fill(n) }))
  await store.put([{ ...sampleTrace(1), bodies }])
  const read = await store.get('default', sampleTraceId(1))
  expect(read?.bodies.map(body => body.bytes.length)).toEqual(sizes)
  for (const [n, body] of (read?.bodies ?? []).entries()) expect(body.bytes.at(-1)).toBe(n)
  await store.close()
})

test('sqlite: more files than may be open at once are all read', async () => {
  const hours = hotFilesOpenMax + 3
  const store = new SqliteHotStore(newFolder(), { tracesMs: 99 * dayMs, textMs: 99 * dayMs })
  for (let n = 0; n < hours; n++) {
    const at = sampleTimeMs + n * hourMs
    const trace = sampleTrace(1, n, 1, { decidedAtMs: at, seriesAtMs: sampleTimeMs + n * dayMs })
    await store.put([{ ...trace, bodies: [{ ref: `3:${n}:0`, bytes: new Uint8Array([n]) }] }])
  }
  const read = await store.get('default', sampleTraceId(1))
  expect(read?.bodies.length).toBe(hours)
  expect(read?.offset).toBe(hours - 1)
  expect((await store.search({ tenant: 'default', limit: 5 })).decisions.length).toBe(1)
  await store.close()
})

test('sqlite: a newer release’s file is refused by name', async () => {
  const folder = newFolder()
  const store = new SqliteHotStore(folder)
  await store.put([sampleTrace(1)])
  await store.close()
  const file = new DatabaseSync(join(folder, 'traces-2026-11-21.sqlite'))
  file.exec(`UPDATE format SET v = ${hotFormat + 1}`)
  file.close()
  const again = new SqliteHotStore(folder)
  const read = again.get('default', sampleTraceId(1))
  await expect(read).rejects.toThrow(/CONFIG_INVALID.*traces-2026-11-21.*format 2.*reads up to 1/)
  await expect(again.put([sampleTrace(2)])).rejects.toThrow(/CONFIG_INVALID/)
  await again.close()
})

test('sqlite: damage and a folder that is none are told apart', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'traces-2026-11-21.sqlite'), 'this is no database'.repeat(1_000))
  const store = new SqliteHotStore(folder)
  await expect(store.get('default', sampleTraceId(1))).rejects.toMatchObject({
    code: 'DATA_CORRUPT',
  })
  await store.close()
  writeFileSync(join(folder, 'file'), '')
  expect(() => new SqliteHotStore(join(folder, 'file'))).toThrow(/STORE_UNAVAILABLE/)
})

test('sqlite: files that are not its own are left alone', async () => {
  const folder = newFolder()
  for (const name of ['notes.txt', 'traces-2020.sqlite', 'text-2020-01-01T99.sqlite']) {
    writeFileSync(join(folder, name), 'mine')
  }
  const store = new SqliteHotStore(folder)
  await store.expire(sampleTimeMs)
  expect(await store.bytes()).toBe(0)
  expect(readdirSync(folder).length).toBe(3)
  await store.close()
})

test('a period’s name says which it is', () => {
  for (const name of ['traces-2026-11-21', 'text-2026-11-21T07', 'text-2026-01-01T00']) {
    const period = parsePeriod(name)
    expect(period && periodName(period)).toBe(name)
  }
  for (const name of ['traces-2026-13-41', 'text-2026-11-21', 'x', '']) {
    expect(parsePeriod(name), name).toBeUndefined()
  }
})
