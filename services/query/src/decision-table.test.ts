import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import type { DecisionFacts } from './decision-facts.ts'
import { DecisionTable, type FoldEntry, rowBytes } from './decision-table.ts'

const seed = 7
const traceIdOf = (trace: number): string => trace.toString(16).padStart(32, '0')

function head(trace: number, over: Partial<DecisionFacts> = {}): DecisionFacts {
  return {
    tenant: 't',
    traceId: traceIdOf(trace),
    verdict: 'drop',
    primary: 'ordinary',
    matched: '',
    gone: false,
    service: null,
    operation: null,
    variant: null,
    durationMs: null,
    sliceCount: 1,
    lastSpanAtMs: 5,
    decidedAtMs: trace,
    ...over,
  } as DecisionFacts
}

/** Bytes with room for exactly so many rows, of texts that are few and short. */
const bytesFor = (rows: number): number => Math.ceil(((rows + 1) * rowBytes * 4) / 3)

test('what a decision says of its trace comes back as it was', () => {
  const table = new DecisionTable(1 << 20, seed)
  const kept = {
    verdict: 'keep',
    primary: 'slow',
    gone: true,
    service: '',
    durationMs: 0.25,
  } as const
  table.put(
    3,
    2 ** 40,
    head(1, { ...kept, matched: 'slow\nrequested\n', operation: 'o', variant: 'B' }),
  )
  table.put(0, 9, head(2, { sliceCount: 0, lastSpanAtMs: null }))
  const entry: FoldEntry = {
    tenant: 't',
    traceId: traceIdOf(1),
    partition: 3,
    offset: 2 ** 40,
    verdict: 'keep',
    gone: true,
    isAwaiting: false,
    lastSliceAtMs: 5,
    primary: 'slow',
    matched: ['slow', 'requested'],
    service: '',
    operation: 'o',
    variant: 'B',
    durationMs: 0.25,
    decidedAtMs: 1,
  }
  expect(table.find('t', traceIdOf(1))).toEqual(entry)
  expect(table.find('t', traceIdOf(2))).toMatchObject({
    verdict: 'drop',
    isAwaiting: true,
    lastSliceAtMs: 0,
    matched: [],
    service: null,
    durationMs: null,
  })
  expect([...table.entries('t')].map(({ offset }) => offset)).toEqual([2 ** 40, 9])
  expect(table.find('other', traceIdOf(1))).toBeUndefined()
  expect([...table.entries('other')]).toEqual([])
})

test('the last of each trace is held in the order of decisions, whatever comes and goes', () => {
  const random = new Random(4)
  const rows = 1500
  const table = new DecisionTable(bytesFor(rows), seed)
  const model = new Map<string, number>()
  let forgotten = 0
  const forgottenOf = new Map<string, number>()
  for (let step = 0; step < 20_000; step++) {
    const trace = random.int(0, 4000)
    const tenant = `t${trace % 3}`
    const key = `${tenant} ${traceIdOf(trace)}`
    model.delete(key)
    model.set(key, step)
    table.put(0, step, head(trace, { tenant, service: `s${random.int(0, 40)}` }))
    if (model.size > rows) {
      forgotten++
      for (const oldest of model.keys()) {
        model.delete(oldest)
        const whose = oldest.slice(0, 2)
        forgottenOf.set(whose, (forgottenOf.get(whose) ?? 0) + 1)
        break
      }
    }
    const asked = random.int(0, 4000)
    const found = table.find(`t${asked % 3}`, traceIdOf(asked))?.offset
    expect(found).toBe(model.get(`t${asked % 3} ${traceIdOf(asked)}`))
  }
  expect([table.size, table.forgotten]).toEqual([rows, forgotten])
  expect(table.forgottenOf('nobody')).toBe(0)
  for (const tenant of ['t0', 't1', 't2']) {
    const held = [...table.entries(tenant)].map(({ traceId, offset }) => [traceId, offset])
    const wanted = [...model].filter(([key]) => key.startsWith(tenant))
    expect(held).toEqual(wanted.map(([key, step]) => [key.slice(3), step]))
    expect(table.forgottenOf(tenant)).toBe(forgottenOf.get(tenant))
  }
})

test('at the limit of bytes every trace is remembered, and one more pushes out the oldest', () => {
  const table = new DecisionTable(bytesFor(10), seed)
  for (let trace = 1; trace <= 10; trace++) table.put(0, trace, head(trace, { primary: '' }))
  expect([table.size, table.forgotten]).toEqual([10, 0])
  table.put(0, 11, head(5, { primary: '' }))
  expect([table.size, table.forgotten], 'decided again').toEqual([10, 0])
  table.put(0, 12, head(11, { primary: '' }))
  expect([table.size, table.forgotten]).toEqual([10, 1])
  expect(table.find('t', traceIdOf(1))).toBeUndefined()
  expect(table.find('t', traceIdOf(2))).toBeDefined()
})

test('texts that nobody uses any more leave, and as many as there are traces stay within the bytes', () => {
  const bytesMax = 256 * 1024
  const table = new DecisionTable(bytesMax, seed)
  let bytes = 0
  for (let trace = 1; trace <= 20_000; trace++) {
    table.put(0, trace, head(trace, { operation: `GET /orders/${trace}`, service: 's'.repeat(64) }))
    bytes = Math.max(bytes, table.bytes)
  }
  expect(bytes).toBeLessThanOrEqual(bytesMax)
  expect(bytes).toBeGreaterThan(bytesMax / 4)
  // The same with few texts holds as many traces as there are rows.
  const before = table.size
  for (let trace = 1; trace <= 20_000; trace++) table.put(0, trace, head(trace))
  expect(table.size).toBeGreaterThan(2 * before)
  expect(table.bytes).toBeLessThanOrEqual(bytesMax)
})

test('one trace is remembered by however little, and one without a trace id is not', () => {
  const table = new DecisionTable(1, seed)
  table.put(0, 1, head(1))
  for (const traceId of [
    '',
    'a',
    `${traceIdOf(1)}0`,
    'G'.repeat(32),
    'A'.repeat(32),
    '/'.repeat(32),
  ]) {
    table.put(0, 2, head(1, { traceId }))
    expect(table.find('t', traceId), traceId).toBeUndefined()
  }
  expect([...table.entries('t')].map(({ traceId }) => traceId)).toEqual([traceIdOf(1)])
})
