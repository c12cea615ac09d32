import type { PackedSlice } from '@winnow/model'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FixtureSpan, root, slice, spanIdOf } from './fixtures.ts'
import { foldTrace, inOrder } from './fold.ts'

const span = (id: number, more: Partial<FixtureSpan> = {}): FixtureSpan => ({ id, ...more })

test('a span that came in an earlier slice counts once', () => {
  const costly = { inputTokens: 10, outputTokens: 5, costUsd: 0.25 }
  const a = slice(1, [span(1, costly), span(2, costly)])
  const b = slice(2, [span(2, costly), span(3, costly)])
  expect(foldTrace([a, b])).toMatchObject({
    spanCount: 3,
    duplicateSpans: 1,
    inputTokens: 30,
    outputTokens: 15,
    costUsd: 0.75,
  })
})

test('of conflicting copies of a span the earlier slice speaks, but no copy takes an error back', () => {
  const a = slice(1, [span(7, { inputTokens: 1 })])
  const b = slice(2, [span(7, { inputTokens: 100, error: true })])
  for (const order of [
    [a, b],
    [b, a],
  ]) {
    expect(foldTrace(order)).toMatchObject({ spanCount: 1, inputTokens: 1, fatalErrors: 1 })
  }
})

test('repeats are found in traces of any size', () => {
  for (const count of [15, 16, 17, 64, 5_000]) {
    const ids = Array.from({ length: count }, (_, id) => span(id + 1, { inputTokens: 1 }))
    const facts = foldTrace([slice(1, ids), slice(2, ids.slice(0, 9))])
    expect(facts, `${count} spans`).toMatchObject({
      spanCount: count,
      duplicateSpans: 9,
      inputTokens: count,
    })
  }
})

test('an error is fatal on the root and on the last attempt of its operation, else recovered', () => {
  const attempt = (id: number, startMs: number, error: boolean) =>
    span(id, { operation: 50, startMs, error })
  const retried = foldTrace([slice(1, [attempt(2, 10, true), attempt(3, 20, false)])])
  expect(retried).toMatchObject({ fatalErrors: 0, recoveredErrors: 1, errorSpanId: spanIdOf(2) })
  const failed = foldTrace([slice(1, [attempt(3, 20, true), attempt(2, 10, true)])])
  expect(failed).toMatchObject({ fatalErrors: 1, recoveredErrors: 1, errorSpanId: spanIdOf(3) })
  const onRoot = foldTrace([
    slice(
      1,
      [span(1, { operation: 9, startMs: 0, error: true }), span(2, { operation: 9, startMs: 5 })],
      root(10),
    ),
  ])
  expect(onRoot).toMatchObject({ fatalErrors: 1, recoveredErrors: 0, errorSpanId: spanIdOf(1) })
})

test('attempts of one operation are compared across slices by their start', () => {
  const late = slice(1, [span(3, { operation: 5, startMs: 90_000, error: true })])
  const early = slice(2, [span(2, { operation: 5, startMs: 1_000 })])
  expect(foldTrace([late, early])).toMatchObject({ fatalErrors: 1 })
})

test('the root is the earliest span without parent, then the one with the smallest id', () => {
  const fact = (id: number, startNs: string, parentId?: number) => ({
    spanId: spanIdOf(id),
    service: 's',
    name: `n${id}`,
    startNs,
    durationMs: id,
    ...(parentId !== undefined && { parentId: spanIdOf(parentId) }),
  })
  const of = (...roots: ReturnType<typeof fact>[]) =>
    foldTrace([slice(1, [span(1), span(2)], { roots })]).root?.name
  expect(of(fact(1, '200'), fact(2, '1000'))).toBe('n1')
  expect(of(fact(2, '200'), fact(1, '200'))).toBe('n1')
  expect(of(fact(3, '1', 77), fact(2, '999'))).toBe('n2')
  expect(of(fact(3, '1', 77))).toBe('n3')
  expect(of(fact(3, '1', 2)), 'its parent is in the trace').toBeUndefined()
  expect(of()).toBeUndefined()
})

test('the strictest upstream threshold counts, what is no hex does not', () => {
  const of = (...ths: string[]) =>
    foldTrace(ths.map((th, at) => slice(at, [span(at + 1)], { th }))).upstream
  expect(of('8', 'c')).toBe('c0000000000000')
  expect(of('c', '8')).toBe('c0000000000000')
  expect(of('zz')).toBeUndefined()
})

test('a trace without slices has no spans and keeps its evaluations', () => {
  expect(foldTrace([], [{ id: 'x', name: 'csat', score: 2 }])).toMatchObject({
    spanCount: 0,
    root: null,
    firstAppendedAtMs: null,
    outcomes: [{ name: 'csat', score: 2 }],
  })
})

const anySpan = fc.record({
  id: fc.integer({ min: 1, max: 30 }),
  operation: fc.integer({ min: 1, max: 4 }),
  startMs: fc.integer({ min: 0, max: 1_000 }),
  error: fc.boolean(),
  inputTokens: fc.integer({ min: 0, max: 9 }),
  costUsd: fc.double({ min: 0, max: 1, noNaN: true }),
})
const anySlices = fc
  .array(fc.tuple(fc.array(anySpan, { minLength: 1, maxLength: 12 }), fc.boolean()), {
    minLength: 1,
    maxLength: 8,
  })
  .map(rows => rows.map(([spans, isRoot], at) => slice(at, spans, isRoot ? root(at) : {}, at)))

test('the fold depends neither on order nor on overlaps', () => {
  fc.assert(
    fc.property(anySlices, fc.infiniteStream(fc.nat()), (slices, dice) => {
      const roll = (below: number): number => (dice.next().value as number) % below
      const again: PackedSlice[] = [...slices]
      for (let i = roll(5); i > 0; i--) again.push(slices[roll(slices.length)] as PackedSlice)
      for (let i = again.length - 1; i > 0; i--) {
        const j = roll(i + 1)
        const held = again[i] as PackedSlice
        again[i] = again[j] as PackedSlice
        again[j] = held
      }
      expect(foldTrace(again)).toEqual(foldTrace(slices))
      expect(inOrder(again)).toEqual(slices)
    }),
  )
})
