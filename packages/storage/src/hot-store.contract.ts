import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { dayMs, dayOf, endOf, hourMs, hourOf } from './hot-period.ts'
import { type HotLife, type HotStore, type HotTrace, searchLimitMax } from './hot-store.ts'
import { sampleSpanId, sampleSpanRow, sampleTimeMs, sampleTrace, sampleTraceId } from './samples.ts'
import { emptyPack, SpanPack } from './span-pack.ts'

/** Every adapter of the hot store passes exactly these tests; each promise of `HotStore` has one. */
export function hotStoreContract(name: string, makeStore: (life?: HotLife) => Promise<HotStore>) {
  test(`${name}: gives back a trace as it was put`, async () => {
    const store = await makeStore()
    const trace = sampleTrace(1, 17, 3, { durationMs: null, service: null, variant: null })
    const odd = sampleSpanRow(trace.decision.traceId, 5, {
      start_time_unix_nano: 2n ** 63n - 1n,
      end_time_unix_nano: 0n,
      sampling_offset: 17n,
      flags: 2 ** 32 - 1,
      input_tokens: Number.MAX_SAFE_INTEGER,
      cost_usd: null,
      name: 'ein Wort "mit" Ümläut 😀\n',
    })
    await store.put([{ ...trace, spans: SpanPack.of([odd, ...trace.spans.rows()]) }])
    const read = await store.get('default', trace.decision.traceId)
    expect(read).toEqual({ ...trace, spans: [...trace.spans.rows(), odd] })
    await store.close()
  })

  test(`${name}: a trace belongs to its tenant alone`, async () => {
    const store = await makeStore()
    const [mine, theirs] = [sampleTrace(1), sampleTrace(1, 1, 3, { tenant: 'other' })]
    await store.put([mine, theirs])
    expect((await store.get('default', mine.decision.traceId))?.spans.length).toBe(2)
    expect((await store.get('other', mine.decision.traceId))?.spans.length).toBe(3)
    expect(await store.get('third', mine.decision.traceId)).toBeUndefined()
    expect(await store.get('default', sampleTraceId(2))).toBeUndefined()
    expect((await store.search({ tenant: 'other', limit: 9 })).decisions).toEqual([theirs.decision])
    expect((await store.search({ tenant: 'third', limit: 9 })).decisions).toEqual([])
    await store.close()
  })

  test(`${name}: what is erased is gone for its tenant alone, and may be erased again`, async () => {
    const store = await makeStore()
    const traces = [sampleTrace(1), sampleTrace(2), sampleTrace(3, 1, 3, { tenant: 'other' })]
    await store.put(traces)
    const ids = [1, 3].map(sampleTraceId)
    const erased = await store.erase('default', ids)
    expect(erased).toMatchObject({ traces: 1, rows: 2 })
    expect(erased.bytes).toBeGreaterThan(0)
    expect(await store.get('default', sampleTraceId(1))).toBeUndefined()
    expect((await store.get('default', sampleTraceId(2)))?.bodies).toEqual(traces[1]?.bodies)
    expect((await store.get('other', sampleTraceId(3)))?.bodies).toEqual(traces[2]?.bodies)
    const page = await store.search({ tenant: 'default', limit: 9 })
    expect(page.decisions.map(({ traceId }) => traceId)).toEqual([sampleTraceId(2)])
    expect(await store.erase('default', ids)).toEqual({ traces: 0, rows: 0, bytes: 0 })
    await store.close()
  })

  test(`${name}: revisions add up, in whatever order and however often they come`, async () => {
    const first = sampleTrace(1, 10, 2)
    const second = revise(first, 20, { decidedAtMs: sampleTimeMs + 2 * hourMs, primary: 'slow' })
    const orders: HotTrace[][] = [
      [first, second],
      [second, first],
      [first, second, first],
      [second, first, second],
    ]
    for (const order of orders) {
      const store = await makeStore()
      for (const trace of order) await store.put([trace])
      const read = await store.get('default', first.decision.traceId)
      expect(read?.decision).toEqual(second.decision)
      expect(read?.offset).toBe(20)
      // Span 1 is in both: the later revision's row stays. Spans 0 and 2 are in one each.
      expect(read?.spans.map(row => [row.span_id, row.sampling_offset])).toEqual([
        [sampleSpanId(0), 10n],
        [sampleSpanId(1), 20n],
        [sampleSpanId(2), 20n],
      ])
      expect(read?.bodies.map(body => body.ref)).toEqual(['3:1:0', '3:20:0'])
      const page = await store.search({ tenant: 'default', limit: 9 })
      expect(page.decisions).toEqual([second.decision])
      await store.close()
    }
  })

  test(`${name}: of two series of one trace the later one speaks`, async () => {
    const store = await makeStore()
    const before = sampleTrace(1, 10, 2)
    const at = { seriesAtMs: sampleTimeMs + 4 * dayMs, decidedAtMs: sampleTimeMs + 4 * dayMs }
    const after = revise(before, 900, { ...at, revision: 1, primary: 'slow' })
    await store.put([after, before])
    const read = await store.get('default', before.decision.traceId)
    expect(read?.decision).toEqual(after.decision)
    expect(read?.spans.length).toBe(3)
    for (const rule of [undefined, 'slow', 'citation-failed']) {
      const filter = { tenant: 'default', limit: 9, ...(rule && { rule }) }
      expect((await store.search(filter)).decisions).toEqual([after.decision])
    }
    await store.close()
  })

  test(`${name}: of two logs the later decision speaks, whatever its offset`, async () => {
    const before = sampleTrace(1, 900, 2)
    // The data folder was wiped or the topic made again, and clients sent the trace again.
    const again = sampleTrace(1, 3, 3, { decidedAtMs: sampleTimeMs + hourMs, primary: 'slow' })
    const bytes = new TextEncoder().encode('what the other log has at the same place')
    const other = { ...again, logId: 'log-2', bodies: [{ ref: '3:1:0', bytes }] }
    for (const order of [
      [before, other],
      [other, before],
      [before, other, before],
    ]) {
      const store = await makeStore()
      for (const trace of order) await store.put([trace])
      const read = await store.get('default', before.decision.traceId)
      expect(read).toMatchObject({ decision: other.decision, logId: 'log-2', offset: 3 })
      expect(read?.spans.map(row => row.sampling_offset)).toEqual([3n, 3n, 3n])
      expect(read?.bodies).toEqual([...other.bodies, ...before.bodies])
      const page = await store.search({ tenant: 'default', limit: 9 })
      expect(page.decisions).toEqual([other.decision])
      await store.close()
    }
  })

  test(`${name}: of a decision it keeps the facts, since its text would outlive the day`, async () => {
    const store = await makeStore()
    const trace = sampleTrace(1, 1, 1, {
      requests: [{ id: 'r1', reason: 'priya is angry' }],
      evaluations: [{ id: 'e1', name: 'csat', score: 2, effect: 'applied' }],
    })
    await store.put([trace])
    const kept = { ...trace.decision, requests: [{ id: 'r1', reason: '' }] }
    expect((await store.get('default', trace.decision.traceId))?.decision).toEqual(kept)
    expect((await store.search({ tenant: 'default', limit: 1 })).decisions).toEqual([kept])
    await store.close()
  })

  test(`${name}: keeps bodies apart and gives them in the order of their slices`, async () => {
    const store = await makeStore()
    const trace = sampleTrace(1)
    const refs = ['3:9:0', '3:10:1400', '3:10:200', '3:100:0']
    const bodies = refs.map(ref => ({ ref, bytes: new TextEncoder().encode(ref) }))
    await store.put([{ ...trace, bodies }])
    const read = await store.get('default', trace.decision.traceId)
    expect(read?.bodies.map(body => body.ref)).toEqual([
      '3:9:0',
      '3:10:200',
      '3:10:1400',
      '3:100:0',
    ])
    for (const { ref, bytes } of read?.bodies ?? []) expect(Buffer.from(bytes).toString()).toBe(ref)
    await store.close()
  })

  test(`${name}: leaves out the text of decisions before a time where that is asked for`, async () => {
    const store = await makeStore()
    const first = sampleTrace(1)
    const lateMs = sampleTimeMs + hourMs
    const late = revise(first, first.offset + 100, { decidedAtMs: lateMs })
    await store.put([first, late])
    const from = async (ms?: number) => {
      const read = await store.get('default', first.decision.traceId, ms)
      expect(read?.spans.length).toBeGreaterThan(0)
      return read?.bodies.map(({ ref }) => ref)
    }
    const [own, later] = [first, late].map(({ bodies }) => bodies.map(({ ref }) => ref))
    expect(await from()).toEqual([...(own ?? []), ...(later ?? [])])
    expect(await from(first.decision.decidedAtMs)).toEqual([...(own ?? []), ...(later ?? [])])
    expect(await from(lateMs)).toEqual(later)
    expect(await from(lateMs + 1)).toEqual([])
    await store.close()
  })

  test(`${name}: text goes by whole hours and traces by whole days`, async () => {
    const life = { tracesMs: 7 * dayMs, textMs: dayMs }
    const store = await makeStore(life)
    const early = sampleTrace(1)
    const late = sampleTrace(2, 2, 2, { decidedAtMs: sampleTimeMs + hourMs })
    await store.put([early, late])
    const ids = [early.decision.traceId, late.decision.traceId] as const
    const bodies = () =>
      Promise.all(ids.map(async id => (await store.get('default', id))?.bodies.length))
    const hourEnd = endOf(hourOf(early.decision.decidedAtMs))
    await store.expire(hourEnd + life.textMs - 1)
    expect(await bodies()).toEqual([1, 1])
    await store.expire(hourEnd + life.textMs)
    expect(await bodies()).toEqual([0, 1])
    expect((await store.get('default', ids[0]))?.spans).toEqual(early.spans.rows())
    const dayEnd = endOf(dayOf(early.decision.seriesAtMs))
    await store.expire(dayEnd + life.tracesMs - 1)
    expect(await bodies()).toEqual([0, 0])
    await store.expire(dayEnd + life.tracesMs)
    expect(await bodies()).toEqual([undefined, undefined])
    expect((await store.search({ tenant: 'default', limit: 9 })).decisions).toEqual([])
    // A replay of what expired is held until the next time.
    await store.put([early])
    expect((await store.get('default', ids[0]))?.decision).toEqual(early.decision)
    await store.close()
  })

  test(`${name}: what expires gives its bytes back`, async () => {
    const store = await makeStore()
    const [trace, empty] = [sampleTrace(1), await store.bytes()]
    // Nothing that a store could compress.
    const bytes = Buffer.concat(
      Array.from({ length: 93_750 }, (_, n) => createHash('sha256').update(`${n}`).digest()),
    )
    await store.put([{ ...trace, bodies: [{ ref: '3:1:0', bytes }] }])
    const full = await store.bytes()
    expect(full - empty).toBeGreaterThan(3_000_000)
    await store.expire(sampleTimeMs + 3 * dayMs)
    expect(full - (await store.bytes())).toBeGreaterThan(2_900_000)
    await store.expire(sampleTimeMs + 30 * dayMs)
    expect(await store.bytes()).toBe(empty)
    await store.close()
  })

  test(`${name}: each filter finds what it names and nothing else`, async () => {
    const store = await makeStore()
    const base = sampleTrace(0)
    const variants = [
      sampleTrace(1, 1, 1, { service: 'checkout' }),
      sampleTrace(2, 2, 1, { variant: 'A' }),
      sampleTrace(3, 3, 1, { primary: 'slow', rules: [] }),
      sampleTrace(4, 4, 1, { durationMs: 60_000 }),
      sampleTrace(5, 5, 1, { durationMs: null }),
      sampleTrace(6, 6, 1, { decidedAtMs: sampleTimeMs + hourMs }),
      sampleTrace(7, 7, 1, {
        rules: [{ name: 'a"b', matched: true, probability: 1 }],
        primary: 'a"b',
      }),
    ]
    await store.put([base, ...variants])
    const find = async (filter: object): Promise<number[]> => {
      const { decisions } = await store.search({ tenant: 'default', limit: 99, ...filter })
      return decisions.map(one =>
        [base, ...variants].findIndex(t => t.decision.traceId === one.traceId),
      )
    }
    expect(await find({})).toEqual([6, 7, 5, 4, 3, 2, 1, 0])
    expect(await find({ service: 'checkout' })).toEqual([1])
    expect(await find({ variant: 'A' })).toEqual([2])
    expect(await find({ rule: 'slow' })).toEqual([3])
    expect(await find({ rule: 'low-csat' })).toEqual([6, 5, 4, 2, 1, 0])
    expect(await find({ rule: 'span-error' })).toEqual([])
    expect(await find({ rule: 'low' })).toEqual([])
    expect(await find({ rule: 'a"b' })).toEqual([7])
    expect(await find({ rule: "' OR 1=1 --" })).toEqual([])
    expect(await find({ minDurationMs: 60_000 })).toEqual([4])
    expect(await find({ minDurationMs: 0 })).not.toContain(5)
    expect(await find({ sinceMs: sampleTimeMs + hourMs })).toEqual([6])
    expect(await find({ untilMs: base.decision.decidedAtMs })).toEqual([])
    expect(await find({ untilMs: base.decision.decidedAtMs + 1 })).toEqual([0])
    expect(await find({ service: 'checkout', variant: 'A' })).toEqual([])
    await store.close()
  })

  test(`${name}: pages meet end to end, over days and equal times, whatever comes in between`, async () => {
    const store = await makeStore()
    const traces = Array.from({ length: 40 }, (_, n) => {
      const seriesAtMs = sampleTimeMs - (n % 3) * dayMs
      return sampleTrace(n, n, 1, { seriesAtMs, decidedAtMs: seriesAtMs + Math.floor(n / 8) })
    })
    await store.put(traces)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await store.search({ tenant: 'default', limit: 7, ...(cursor && { cursor }) })
      seen.push(...page.decisions.map(decision => decision.traceId))
      cursor = page.cursor
      const newer = { seriesAtMs: sampleTimeMs + hourMs, decidedAtMs: sampleTimeMs + hourMs }
      await store.put([sampleTrace(100 + seen.length, 100 + seen.length, 1, newer)])
    } while (cursor !== undefined)
    const order = traces
      .map(trace => trace.decision)
      .sort((a, b) => b.decidedAtMs - a.decidedAtMs || (a.traceId < b.traceId ? 1 : -1))
    expect(seen).toEqual(order.map(decision => decision.traceId))
    await store.close()
  })

  test(`${name}: a page that takes the last trace has no cursor`, async () => {
    const store = await makeStore()
    await store.put([sampleTrace(1), sampleTrace(2)])
    expect((await store.search({ tenant: 'default', limit: 2 })).cursor).toBeUndefined()
    expect((await store.search({ tenant: 'default', limit: 1 })).cursor).toBeDefined()
    await store.close()
  })

  test(`${name}: a limit or cursor that is none is refused with the remedy`, async () => {
    const store = await makeStore()
    for (const limit of [0, -1, 1.5, Number.NaN, searchLimitMax + 1]) {
      await expect(store.search({ tenant: 'default', limit })).rejects.toThrow(
        /CONFIG_INVALID.*1 to/,
      )
    }
    await store.search({ tenant: 'default', limit: searchLimitMax })
    for (const cursor of ['', 'x', '1', '1.', "1.' OR 1", '99999999999999999.aa']) {
      const search = store.search({ tenant: 'default', limit: 1, cursor })
      await expect(search).rejects.toThrow(/CONFIG_INVALID.*leave it out/)
    }
    await store.close()
  })

  test(`${name}: what it holds is told by day and hour, and nothing of what has expired`, async () => {
    const store = await makeStore({ tracesMs: 7 * dayMs, textMs: dayMs })
    const later = { seriesAtMs: sampleTimeMs + dayMs, decidedAtMs: sampleTimeMs + dayMs }
    await store.put([sampleTrace(1), sampleTrace(2), sampleTrace(3, 3, 2, later)])
    const told = async () => {
      const ours = (await store.periods()).filter(({ bytes }) => bytes > 0)
      const days = ours.flatMap(({ period, oldestMs }) =>
        period?.kind === 'traces' && oldestMs !== undefined ? [[period.startMs, oldestMs]] : [],
      )
      const hours = ours.flatMap(({ period }) => (period?.kind === 'text' ? [period.startMs] : []))
      return { days: days.sort(([a = 0], [b = 0]) => a - b), hours: hours.sort((a, b) => a - b) }
    }
    const day = dayOf(sampleTimeMs).startMs
    const hour = hourOf(sampleTimeMs).startMs
    await expect.poll(told, { timeout: 10_000 }).toEqual({
      days: [
        [day, sampleTimeMs],
        [day + dayMs, sampleTimeMs + dayMs],
      ],
      hours: [hour, hour + dayMs],
    })
    await store.expire(sampleTimeMs + 8 * dayMs)
    const rest = { days: [[day + dayMs, sampleTimeMs + dayMs]], hours: [] }
    await expect.poll(told, { timeout: 10_000 }).toEqual(rest)
    await store.close()
  })

  test(`${name}: nothing is put, nothing is found`, async () => {
    const store = await makeStore()
    await store.put([])
    await store.put([{ ...sampleTrace(1), spans: emptyPack, bodies: [] }])
    const read = await store.get('default', sampleTraceId(1))
    expect(read).toMatchObject({ decision: sampleTrace(1).decision, spans: [], bodies: [] })
    await store.close()
  })
}

/** Revision 2: spans 1 and 2 (1 again), one more body. */
export function revise(trace: HotTrace, offset: number, changes: object): HotTrace {
  const decision = { ...trace.decision, revision: 2, ...changes }
  const spans = [1, 2].map(n =>
    sampleSpanRow(decision.traceId, n, { sampling_offset: BigInt(offset), sampling_revision: 2 }),
  )
  const bodies = [{ ref: `3:${offset}:0`, bytes: new Uint8Array([1]) }]
  return { decision, logId: trace.logId, partition: 3, offset, spans: SpanPack.of(spans), bodies }
}
