import { packSlice } from '@winnow/model'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { NamedSlices } from './named-slices.ts'
import { SeriesTable } from './series-table.ts'
import { SliceTable } from './slice-table.ts'
import { SpanIdSet } from './span-id-set.ts'
import { TenantSums, tenantsMax } from './tenant-sums.ts'

test('a set of span ids is a set, however it grows and after it was cleared', () => {
  const random = new Random(1)
  const set = new SpanIdSet()
  for (const size of [10, 5000, 3, 300]) {
    set.clear()
    const model = new Set<string>()
    for (let at = 0; at < size; at++) {
      const [high, low] = [random.int(0, 50), random.int(0, 100)]
      const isNew = !model.has(`${high}:${low}`)
      expect(set.has(high, low)).toBe(!isNew)
      expect(set.add(high, low)).toBe(isNew)
      model.add(`${high}:${low}`)
    }
    expect(set.size).toBe(model.size)
  }
})

test('slices are found while records come at one end and leave at the other', () => {
  const random = new Random(2)
  const table = new SliceTable()
  table.restart(100)
  const model: { offset: number; start: number; spans: number }[] = []
  for (let round = 0; round < 400; round++) {
    const records = random.int(1, 60)
    for (let record = 0; record < records; record++) {
      const offset = table.end
      table.records.push(offset)
      for (let slice = random.int(0, 4); slice > 0; slice--) {
        const spans = random.int(1, 9)
        const start = 1000 - slice * 10
        table.add(offset, start, 10, spans, 0, 0)
        model.push({ offset, start, spans })
      }
    }
    const first = random.int(table.first, table.end)
    table.dropFront(first)
    while (model[0] !== undefined && model[0].offset < first) model.shift()
    expect(table.size).toBe(model.length)
    const some = model[random.int(0, Math.max(0, model.length - 1))]
    if (some === undefined) continue
    const row = table.find(some.offset, some.start)
    expect(table.spanCount[row]).toBe(some.spans)
    expect(table.offset[row]).toBe(some.offset)
    expect(table.find(some.offset, some.start + 1)).toBe(0)
    expect(table.find(table.first - 1, some.start)).toBe(0)
    expect(table.records.offsetAt(some.offset)).toBe(some.offset)
  }
})

test('series are found by their trace while others open and close, and the last of a trace wins', () => {
  const random = new Random(3)
  const table = new SeriesTable(random.int(0, 2 ** 31))
  const model = new Map<string, number>()
  const words = new Uint32Array(4)
  for (let step = 0; step < 30_000; step++) {
    const trace = random.int(0, 3000)
    const tenant = trace % 2
    words[3] = trace
    const key = `${trace}:${tenant}`
    const row = table.find(words, tenant)
    expect(row).toBe(model.get(key) ?? -1)
    if (row < 0) {
      const opened = table.open(words, tenant, 'keep')
      expect(table.liveSlices[opened]).toBe(0)
      table.liveSlices[opened] = 1
      model.set(key, opened)
      expect(table.traceIdOf(opened)).toBe(trace.toString(16).padStart(32, '0'))
    } else if (random.chance(0.6)) {
      table.close(row)
      model.delete(key)
    }
    expect(table.size).toBe(model.size)
  }
  words[3] = 9999
  const [older, younger] = [table.open(words, 0, 'keep'), table.open(words, 0, 'drop')]
  table.close(older)
  expect(table.find(words, 0)).toBe(younger)
})

test('slices are read alike in the layout that stages write, and in any other', () => {
  const spans = Buffer.alloc(72, 5).toString('base64')
  const slice = (offset: number, start: number) =>
    packSlice({
      ref: { partition: 3, offset, start, length: 700, spanCount: 2 },
      appendedAtMs: 1,
      facts: { startNs: '1', endNs: '2', spans },
    })
  const known = [slice(7, 0), slice(7, 700), slice(9_007_199_254_740_991, 2 ** 32 - 1)]
  const text = JSON.stringify(known).slice(1, -1)
  for (const json of [text, text.replaceAll(',', ' , '), text.replaceAll('"A', '"\\u0041')]) {
    const named = new NamedSlices()
    expect(named.read(json)).toBe(true)
    expect(named.length).toBe(3)
    expect([...named.offset.subarray(0, 3)]).toEqual([7, 7, 9_007_199_254_740_991])
    expect([...named.start.subarray(0, 3)]).toEqual([0, 700, 2 ** 32 - 1])
    expect([...named.spanCount.subarray(0, 3)]).toEqual([2, 2, 2])
    expect([...named.spanIds.subarray(0, 12)]).toEqual(Array(12).fill(0x05050505))
    expect(named.lastOffset).toBe(9_007_199_254_740_991)
    expect(named.read('')).toBe(true)
    expect(named.length).toBe(0)
  }
  for (const broken of ['{', '{"ref":{}}', 'null', '""', '"AAAA"', `${text},`, `${text}"`]) {
    expect(new NamedSlices().read(broken), broken).toBe(false)
  }
})

test('as many tenants are told apart as two bytes can, and one more is refused by name', () => {
  const tenants = new TenantSums()
  for (let tenant = 0; tenant < tenantsMax; tenant++) tenants.numberOf(`${tenant}`)
  expect(tenants.numberOf('0')).toBe(0)
  expect(tenants.nameOf(tenantsMax - 1)).toBe(`${tenantsMax - 1}`)
  expect(() => tenants.numberOf('one more')).toThrow(/QUOTA_EXCEEDED.*tenantsMax/)
})
