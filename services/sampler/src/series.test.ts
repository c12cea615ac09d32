import {
  type Decision,
  type Evidence,
  type PackedSlice,
  refKey,
  refsMax,
  type SliceFacts,
  seriesBytesMax,
  seriesRefsMax,
  slicesBytesMax,
} from '@winnow/model'
import { expect, test } from 'vitest'
import { fingerprintText, noFingerprint } from './fingerprint.ts'
import { evaluation, type FixtureSpan, root, slice, summary, traceIdOf } from './fixtures.ts'
import { foldTrace } from './fold.ts'
import { defaultPolicy } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { revisionContext } from './revision.fixture.ts'
import { compilePolicy } from './rules.ts'
import { place, type Series } from './series.ts'
import { sliceBytes, slicesBytes } from './slice-bytes.ts'
import { TraceLog } from './trace.fixture.ts'

const policy = compilePolicy(defaultPolicy)
const newLog = () => new TraceLog(revisionContext(policy))
const id = traceIdOf(1)
const small = (from: number, count: number, facts: Partial<SliceFacts> = {}): PackedSlice[] =>
  Array.from({ length: count }, (_, at) => slice(from + at, [{ id: from + at + 1 }], facts))
const wide = (at: number, spans: number, more: Partial<SliceFacts> = {}): PackedSlice =>
  slice(
    at,
    Array.from({ length: spans }, (_, n): FixtureSpan => ({ id: 1 + n + at * 2_000 })),
    more,
  )
/** A slice of exactly so many bytes as JSON, its comma included: three and a multiple of four, as base64 has it. */
const sized = (at: number, bytes: number): PackedSlice => {
  const of = (chars: number) => slice(at, [{ id: at + 1 }], { services: ['x'.repeat(chars)] })
  let length = Math.floor(((bytes - sliceBytes(of(0))) * 3) / 4)
  while (sliceBytes(of(length)) > bytes) length--
  expect(sliceBytes(of(length))).toBe(bytes)
  return of(length)
}
const failing = evaluation(id, { name: 'csat', score: 1 })
const offsets = (slices: readonly PackedSlice[]) => slices.map(({ ref }) => ref.offset)
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)

test('a record takes as many slices as its limit, and one more chains', () => {
  const log = newLog()
  log.add(summary(id, small(0, refsMax)))
  expect(log.decisions).toHaveLength(1)
  expect(log.last).toMatchObject({ prev: null, sliceCount: refsMax })
  log.add(summary(id, small(refsMax, 1)))
  expect(log.last).toMatchObject({ revision: 2, prev: 0, sliceCount: refsMax + 1, spanCount: 257 })
  expect(offsets(log.last?.slices ?? [])).toEqual([refsMax])
  // The next ones are repeated beside it, and `prev` stays.
  log.add(summary(id, small(refsMax + 1, 2)))
  expect(log.last).toMatchObject({ revision: 3, prev: 0, sliceCount: refsMax + 3 })
  expect(offsets(log.last?.slices ?? [])).toEqual(range(refsMax, refsMax + 3))
  // What does not fit beside them chains to the record that has them.
  log.add(summary(id, small(refsMax + 3, refsMax)))
  expect(log.last).toMatchObject({ revision: 4, prev: 2, sliceCount: 2 * refsMax + 3 })
  expect(offsets(log.slicesOf(log.last))).toEqual(range(0, 2 * refsMax + 3))
})

test('a record takes as many bytes of slices as its limit, and one more byte chains', () => {
  const of = (bytes: number, count: number) => {
    const log = newLog()
    const first = wide(0, 1_000)
    const others = range(1, count - 1).map(at => sized(at, 403))
    const rest = bytes - slicesBytes([first, ...others])
    log.add(summary(id, [first, ...others]))
    log.add(summary(id, [sized(count, rest)]))
    return log.last
  }
  expect(of(slicesBytesMax, 4)).toMatchObject({ prev: null, sliceCount: 4 })
  expect(of(slicesBytesMax + 1, 3)).toMatchObject({ prev: 0, sliceCount: 3 })
})

test('a slice that alone is over a record’s bytes has a record for itself', () => {
  const log = newLog()
  const huge = sized(1, slicesBytesMax + 3)
  const made = log.add(summary(id, [...small(0, 1), huge, ...small(2, 1)]))
  expect(made.map(({ slices, prev }) => [offsets(slices), prev])).toEqual([
    [[0], null],
    [[1], 0],
    [[2], 1],
  ])
})

test('evidence with more slices than one record takes makes one revision after another', () => {
  const log = newLog()
  const all = small(0, 2 * refsMax + 5, { services: ['s'] })
  const made = log.add(summary(id, all.slice(0, 300)), summary(id, all.slice(200)))
  expect(made.map(({ revision, prev, slices }) => [revision, prev, slices.length])).toEqual([
    [1, null, refsMax],
    [2, 0, refsMax],
    [3, 1, 5],
  ])
  expect(made.at(-1)).toMatchObject({ spanCount: all.length, sliceCount: all.length })
})

test('a trace that is kept late writes its whole chain, one that was kept the new slices alone', () => {
  const log = newLog()
  log.add(summary(id, small(0, refsMax + 10)))
  expect(log.last).toMatchObject({ verdict: 'drop', prev: 0, write: [] })
  log.add(failing)
  expect(log.last).toMatchObject({
    verdict: 'keep',
    stratum: 'rescued',
    prev: 0,
    write: range(0, 10),
    writePrev: true,
    sliceCount: refsMax + 10,
  })
  log.add(summary(id, small(refsMax + 10, 2)))
  expect(log.last).toMatchObject({ verdict: 'keep', write: [10, 11] })
  expect(log.last).not.toHaveProperty('writePrev')
  log.add(summary(id, small(refsMax + 12, refsMax)))
  expect(log.last).toMatchObject({ prev: 3, write: range(0, refsMax) })
  expect(log.last).not.toHaveProperty('writePrev')
})

test('a trace that is kept from its first record on never asks for its chain', () => {
  const log = newLog()
  log.add(failing)
  log.add(summary(id, small(0, refsMax + 1)))
  expect(log.decisions.map(({ write, writePrev }) => [write.length, writePrev])).toEqual([
    [0, undefined],
    [refsMax, undefined],
    [1, undefined],
  ])
})

test('the verdict is that on all slices of the chain, whatever record they lie in', () => {
  const log = newLog()
  const spans = (at: number): PackedSlice =>
    slice(at, [
      { id: at + 1, inputTokens: 3 },
      { id: 1, inputTokens: 5 },
    ])
  const all = [
    slice(0, [{ id: 1, inputTokens: 5 }], root(80)),
    ...range(1, 700).map(spans),
    slice(700, [{ id: 701, error: true }]),
  ]
  for (let from = 0; from < all.length; from += 90) {
    log.add(summary(id, all.slice(Math.max(0, from - 20), from + 90)))
  }
  expect(log.slicesOf(log.last)).toEqual(all)
  const facts = foldTrace(all)
  expect(log.last).toMatchObject({
    verdict: 'keep',
    primary: 'span-error',
    spanCount: facts.spanCount,
    duplicateSpans: 699,
    inputTokens: facts.inputTokens,
    rootSpanId: facts.root?.spanId,
    writePrev: true,
  })
  for (const decision of log.decisions) {
    const earlier = log.earlierOf(decision)
    expect(rederive(decision, policy, earlier).differences).toEqual([])
    const whole = fingerprintText(noFingerprint, log.slicesOf(decision), [], [])
    expect(decision.fingerprint).toBe(whole)
    if (earlier.length > 0) expect(rederive(decision, policy).agrees).toBe(false)
  }
})

test('what a chain knows is nothing new, wherever in it', () => {
  const log = newLog()
  const all = small(0, 3 * refsMax)
  log.add(summary(id, all))
  for (const at of [0, refsMax - 1, refsMax, 2 * refsMax + 1]) {
    expect(log.add(summary(id, all.slice(at, at + 40)))).toEqual([])
  }
})

/** A series of so many slices and bytes, as far as a place is concerned. */
const full = (sliceCount: number, bytes: number): Series => {
  const log = newLog()
  log.add(summary(id, small(100, 2)))
  const last = { ...(log.last as Decision), sliceCount, prev: 3 }
  return { offset: 9, last, earlier: { slices: small(0, 100), bytes }, isCut: false }
}

test('a series ends one past its slices, and the next new one begins another', () => {
  const room = (count: number) => place(full(seriesRefsMax - 3, 0), small(200, count))
  expect(room(3)).toMatchObject({ isPartial: false, prev: 3 })
  expect(room(3).begins).toBeUndefined()
  const over = room(4)
  expect([offsets(over.taken), over.isPartial]).toEqual([[200, 201, 202], true])
  const next = place(full(seriesRefsMax, 0), small(203, 1))
  expect(next).toMatchObject({
    prev: null,
    earlier: { slices: [] },
    begins: { offset: 101, start: 0 },
  })
  expect(offsets(next.slices)).toEqual([203])
  // An evaluation alone begins none.
  expect(place(full(seriesRefsMax, 0), []).begins).toBeUndefined()
})

test('a series ends one byte past its size', () => {
  const own = small(100, 2).reduce((sum, one) => sum + sliceBytes(one), 0)
  const left = (bytes: number) => full(2, seriesBytesMax - own - bytes)
  expect(place(left(1_003), [sized(200, 1_003)]).begins).toBeUndefined()
  expect(place(left(1_002), [sized(200, 1_003)]).begins).toEqual({ offset: 101, start: 0 })
})

/** A log whose series is as full as the limits allow, without the work of filling it. */
function fullLog(...before: Evidence[]): TraceLog {
  const log = newLog()
  log.add(summary(id, small(0, 3)), ...before)
  log.decisions.push({ ...(log.decisions.pop() as Decision), sliceCount: seriesRefsMax })
  return log
}

test('another series inherits a keep and the evaluations, and has the facts of its own slices', () => {
  const log = fullLog(failing)
  expect(log.last).toMatchObject({ verdict: 'keep', primary: 'low-csat' })
  log.add(evaluation(id, { name: 'judge', score: 0.9 }))
  expect(log.last).toMatchObject({ revision: 2 })
  log.decisions.push({ ...(log.decisions.pop() as Decision), sliceCount: seriesRefsMax })
  log.add(summary(id, small(0, 5)))
  const begun = log.last as Decision
  expect(begun).toMatchObject({
    revision: 1,
    series: true,
    seriesFrom: { offset: 2, start: 0 },
    seriesAtMs: 2_000,
    verdict: 'keep',
    primary: 'low-csat',
    prev: null,
    spanCount: 2,
    sliceCount: 2,
    complete: false,
    write: [0, 1],
  })
  expect(begun.evaluations).toHaveLength(2)
  expect(rederive(begun, policy).differences).toEqual([])
  // Of the other series nothing is taken again, and every revision says where it ended.
  expect(log.add(summary(id, small(0, 5)))).toEqual([])
  log.add(summary(id, small(1, 6)))
  expect(log.last).toMatchObject({ revision: 2, series: true, seriesFrom: { offset: 2, start: 0 } })
  expect(offsets(log.last?.slices ?? [])).toEqual([3, 4, 5, 6])
  expect(log.last?.write).toEqual([2, 3])
})

test('a keep that the rules would not give again is inherited, with its weight', () => {
  const log = newLog()
  log.add(summary(id, [slice(0, [{ id: 1, error: true }])]))
  log.decisions.push({ ...(log.decisions.pop() as Decision), sliceCount: seriesRefsMax })
  log.add(summary(id, small(1, 1)))
  expect(log.last).toMatchObject({
    revision: 1,
    verdict: 'keep',
    primary: 'span-error',
    inherited: true,
    adjustedCount: 1,
    write: [0],
  })
  expect(rederive(log.last as Decision, policy).differences).toEqual([])
})

test('a series after a dropped one is judged for itself: nothing was rescued', () => {
  const log = fullLog()
  log.add(summary(id, [slice(3, [{ id: 4, error: true }])]))
  expect(log.last).toMatchObject({
    revision: 1,
    verdict: 'keep',
    stratum: 'span-error',
    write: [0],
  })
  expect(rederive(log.last as Decision, policy).differences).toEqual([])
})

test('a chain that retention has cut goes on as another series, with what its last record has', () => {
  const log = newLog()
  log.add(summary(id, small(0, refsMax + 4)))
  log.firstRetained = 1
  log.add(failing)
  expect(log.last).toMatchObject({
    revision: 1,
    series: true,
    seriesFrom: { offset: refsMax, start: -1 },
    verdict: 'keep',
    sliceCount: 4,
    prev: null,
    write: [0, 1, 2, 3],
  })
  expect(rederive(log.last as Decision, policy).differences).toEqual([])
  expect(log.add(summary(id, small(refsMax - 1, 5)))).toEqual([])
  // What does not fit beside that begins without it.
  const other = newLog()
  other.add(summary(id, small(0, refsMax + 4)))
  other.firstRetained = 1
  other.add(summary(id, small(refsMax + 4, refsMax)))
  expect(other.last).toMatchObject({
    revision: 1,
    seriesFrom: { offset: refsMax + 3, start: 0 },
    sliceCount: refsMax,
  })
})

test('however a trace’s slices are cut into summaries, batches and records, each is there once', () => {
  let state = 7
  const roll = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  for (let round = 0; round < 12; round++) {
    const log = newLog()
    const all = range(0, 600 + roll(600)).map(at => wide(at, 1 + roll(60)))
    let written: string[] = []
    for (let from = 0; from < all.length; ) {
      const batch: Evidence[] = []
      for (let n = 1 + roll(3); n > 0; n--) {
        const to = from + 1 + roll(200)
        batch.push(summary(id, all.slice(Math.max(0, from - roll(30)), to)))
        from = to
      }
      const isFailing: boolean = round % 2 === 1 && (roll(3) === 0 || from >= all.length)
      if (isFailing) batch.push(failing)
      log.add(...batch)
    }
    const before = new Map<Decision, readonly PackedSlice[]>()
    for (const decision of log.decisions) before.set(decision, log.earlierOf(decision))
    for (const [at, decision] of log.decisions.entries()) {
      const keys = decision.slices.map(({ ref }) => refKey(ref))
      expect(decision.revision, `round ${round}`).toBe(at + 1)
      if (decision.writePrev === true) {
        written = (before.get(decision) ?? []).map(({ ref }) => refKey(ref))
      }
      written.push(...decision.write.map(index => keys[index] as string))
    }
    expect(log.slicesOf(log.last), `round ${round}`).toEqual(all)
    const isKept = log.last?.verdict === 'keep'
    expect(isKept, `round ${round}`).toBe(round % 2 === 1)
    expect(written, `round ${round}`).toEqual(isKept ? all.map(({ ref }) => refKey(ref)) : [])
  }
})
