import { copyFileSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { hotCensusContract } from './hot-census.contract.ts'
import { dayMs, hourMs, parsePeriod, periodName } from './hot-period.ts'
import { hotStoreContract } from './hot-store.contract.ts'
import type { HotTrace } from './hot-store.ts'
import { MemoryHotStore } from './memory-hot-store.ts'
import { DatabaseSync } from './node-sqlite.ts'
import { sampleTimeMs, sampleTrace, sampleTraceId } from './samples.ts'
import { SpanPack } from './span-pack.ts'
import { hotFormat } from './sqlite-file.ts'
import { hotFilesOpenMax, SqliteHotStore } from './sqlite-hot-store.ts'
import { textFilesOpenMax } from './text-files.ts'

const made: string[] = []

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hot-'))
  made.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true })
})

for (const contract of [hotStoreContract, hotCensusContract]) {
  contract('memory', async life => new MemoryHotStore(life))
  contract('sqlite', async life => new SqliteHotStore(join(newFolder(), 'hot'), life))
}

test('sqlite: one file a day of traces and an hour of text, found again by another process', async () => {
  const folder = newFolder()
  const [writer, reader] = [new SqliteHotStore(folder), new SqliteHotStore(folder)]
  const late = { seriesAtMs: sampleTimeMs + dayMs, decidedAtMs: sampleTimeMs + dayMs + hourMs }
  expect(await reader.get('default', sampleTraceId(1))).toBeUndefined()
  await writer.put([sampleTrace(1), sampleTrace(2, 2, 1, late)])
  const files = readdirSync(folder).filter(name => /\.(sqlite|bin)$/.test(name))
  expect(files.map(name => name.replace(/-[0-9a-f]{12}/, '')).toSorted()).toEqual([
    'text-2026-11-21T07.bin',
    'text-2026-11-22T08.bin',
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

test('sqlite: what two writers put into a file each is found once', async () => {
  const folder = newFolder()
  const writer = new SqliteHotStore(folder)
  await writer.put([sampleTrace(1), sampleTrace(2)])
  await writer.close()
  const [name = ''] = readdirSync(folder).filter(one => one.endsWith('.sqlite'))
  const other = name.replace(/-[0-9a-f]{12}/, '-0123456789ab')
  copyFileSync(join(folder, name), join(folder, other))
  const reader = new SqliteHotStore(folder)
  const found = async (limit: number, cursor?: string) => {
    const page = await reader.search({ tenant: 'default', limit, ...(cursor && { cursor }) })
    return { ids: page.decisions.map(({ traceId }) => traceId), cursor: page.cursor }
  }
  const both = [sampleTraceId(1), sampleTraceId(2)].toSorted()
  expect((await found(10)).ids.toSorted()).toEqual(both)
  const first = await found(1)
  const second = await found(1, first.cursor)
  expect([...first.ids, ...second.ids].toSorted()).toEqual(both)
  expect(second.cursor).toBeUndefined()
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

test('sqlite: bodies of any number and size come back whole', async () => {
  const store = new SqliteHotStore(newFolder())
  const sizes = [9_000_000, 1, 0, 1, 5, ...Array.from({ length: 3_000 }, (_, n) => n % 7)]
  const bodies = sizes.map((size, n) => ({ ref: `3:${n}:0`, bytes: new Uint8Array(size).fill(n) }))
  await store.put([sampleTrace(2), { ...sampleTrace(1), bodies }, sampleTrace(3)])
  const read = await store.get('default', sampleTraceId(1))
  expect(read?.bodies.map(body => body.bytes.length)).toEqual(sizes)
  for (const [n, body] of (read?.bodies ?? []).entries())
    expect(body.bytes.at(-1) ?? n % 256).toBe(n % 256)
  await store.close()
})

test('sqlite: pieces of one decision are all kept, and a replay of one adds nothing', async () => {
  const store = new SqliteHotStore(newFolder())
  const { spans, ...trace } = sampleTrace(1, 5, 4)
  const pieces = [0, 2].map(first => ({
    ...trace,
    spans: SpanPack.of(spans.rows().slice(first, first + 2)),
    bodies: [{ ref: `3:${first}:0`, bytes: new Uint8Array(1_000).fill(first) }],
  }))
  for (const piece of pieces) await store.put([piece])
  const bytes = await store.bytes()
  for (const piece of pieces) await store.put([piece])
  const read = await store.get('default', sampleTraceId(1))
  expect(read?.spans).toEqual(spans.rows())
  expect(read?.bodies.map(({ ref }) => ref)).toEqual(['3:0:0', '3:2:0'])
  expect(await store.bytes()).toBeLessThan(bytes + 100_000)
  await store.close()
})

test('sqlite: text that is damaged on the disk is never shown', async () => {
  const folder = newFolder()
  const store = new SqliteHotStore(folder)
  await store.put([sampleTrace(1)])
  const name = readdirSync(folder).find(file => file.endsWith('.bin')) ?? ''
  writeFileSync(join(folder, name), 'body of somebody else, of the same length')
  await expect(store.get('default', sampleTraceId(1))).rejects.toThrow(/DATA_CORRUPT.*text-2026/)
  await store.close()
})

test('sqlite: a put that fails leaves nothing, and the next one is whole', async () => {
  const store = new SqliteHotStore(newFolder())
  await store.put([sampleTrace(1)])
  const bad = { ...sampleTrace(2), decision: { ...sampleTrace(2).decision, tenant: undefined } }
  await expect(store.put([sampleTrace(3), bad as unknown as HotTrace])).rejects.toThrow()
  expect(await store.get('default', sampleTraceId(3))).toBeUndefined()
  await store.put([sampleTrace(3)])
  for (const n of [1, 3]) {
    const [body] = (await store.get('default', sampleTraceId(n)))?.bodies ?? []
    expect(Buffer.from(body?.bytes ?? []).toString()).toBe(`body of ${sampleTraceId(n)}`)
  }
  await store.close()
})

test('sqlite: more files than may be open at once are all read', async () => {
  const hours = Math.max(hotFilesOpenMax, textFilesOpenMax) + 3
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
  const name = readdirSync(folder).find(one => one.endsWith('.sqlite')) ?? ''
  const file = new DatabaseSync(join(folder, name))
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
  writeFileSync(
    join(folder, 'traces-2026-11-21-0123456789ab.sqlite'),
    'this is no database'.repeat(1_000),
  )
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
  const foreign = [
    'notes.txt',
    'traces-2020.sqlite',
    'traces-2026-11-21.sqlite',
    'text-2020-01-01T99-0123456789ab.bin',
    'text-2020-01-01T00.bin',
  ]
  for (const name of foreign) {
    writeFileSync(join(folder, name), 'mine')
  }
  const store = new SqliteHotStore(folder)
  await store.expire(sampleTimeMs)
  expect(await store.bytes()).toBe(0)
  expect(readdirSync(folder).length).toBe(foreign.length)
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
