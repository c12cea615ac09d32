import { expect, test } from 'vitest'
import { hotGroups } from './hot-census.ts'
import { dayMs, dayOf } from './hot-period.ts'
import { revise } from './hot-store.contract.ts'
import type { HotLife, HotStore, HotTrace } from './hot-store.ts'
import { sampleTimeMs, sampleTrace } from './samples.ts'

/** What every adapter of the hot store says of a day, for an audit: the other part of `hotStoreContract`. */
export function hotCensusContract(name: string, makeStore: (life?: HotLife) => Promise<HotStore>) {
  test(`${name}: counts and lists what it holds of a day, as far as the ledger reaches`, async () => {
    const store = await makeStore()
    const day = dayOf(sampleTimeMs).startMs
    const [one, again, late] = [sampleTrace(1, 10, 2), sampleTrace(2, 11, 3), sampleTrace(3, 90, 1)]
    const tomorrow = sampleTrace(4, 12, 2, { seriesAtMs: sampleTimeMs + dayMs })
    const other = { ...sampleTrace(5, 3, 2, { decidedAtMs: sampleTimeMs }), logId: 'log-2' }
    await store.put([one, again, late, tomorrow, other, revise(again, 80, {})])
    // More places than a server takes in one query, the right one among them.
    const ends = Array.from({ length: 300 }, (_, partition) => ({
      logId: one.logId,
      partition,
      offset: partition === 3 ? 50 : 1_000,
    }))
    const byGroup = (traces: readonly HotTrace[]) =>
      traces.map(({ decision }) => hotGroups.indexOf(decision.traceId.slice(0, 2)))
    const countsOf = async (beforeMs: number, offset = 50) => {
      const frontier = { ends: ends.with(3, { logId: one.logId, partition: 3, offset }), beforeMs }
      const { groups, strays } = await store.census(day, frontier)
      expect([groups.length, strays]).toEqual([256, 0])
      return byGroup([one, again, late, tomorrow, other]).map(at => groups[at])
    }
    const nothing = { traces: 0, later: 0, spans: 0, bytes: 0 }
    const bytesOf = (trace: HotTrace) =>
      trace.bodies.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const first = { traces: 1, later: 0, spans: 2, bytes: bytesOf(one) }
    const nobodys = { traces: 1, later: 0, spans: expect.any(Number), bytes: bytesOf(other) }
    // Span 1 of the second trace was decided on again behind the end: OpenSearch has that document alone.
    const decidedAgain = { ...nothing, later: 1, spans: expect.any(Number), bytes: bytesOf(again) }
    const known = [first, decidedAgain, nothing, nothing]
    expect(await countsOf(sampleTimeMs)).toEqual([...known, nothing])
    expect(await countsOf(sampleTimeMs + 1)).toEqual([...known, nobodys])
    const whole = { traces: 1, later: 0, spans: 3, bytes: bytesOf(again) + 1 }
    const last = { traces: 1, later: 0, spans: 1, bytes: bytesOf(late) }
    expect(await countsOf(0, 90)).toEqual([first, whole, last, nothing, nothing])
    const frontier = { ends, beforeMs: 0 }
    for (const [trace, spans, isWithin] of [
      [one, 2, true],
      [again, 3, false],
      [late, 1, false],
    ] as const) {
      const { tenant, traceId } = trace.decision
      const bytes = bytesOf(trace) + (trace === again ? 1 : 0)
      expect(await store.held(day, traceId.slice(0, 2), frontier)).toEqual([
        { tenant, traceId, isFound: true, isWithin, spans, bytes },
      ])
    }
    expect(await store.held(day + 5 * dayMs, '00', frontier)).toEqual([])
    const empty = await store.census(day + 5 * dayMs, frontier)
    expect(empty.groups.every(({ traces, spans }) => traces + spans === 0)).toBe(true)
    await store.close()
  })

  test(`${name}: what text holds of bytes is counted after it has expired`, async () => {
    const store = await makeStore()
    const trace = sampleTrace(1, 10, 2)
    await store.put([trace])
    await store.expire(sampleTimeMs + 2 * dayMs)
    const { groups } = await store.census(dayOf(sampleTimeMs).startMs, {
      ends: [{ logId: trace.logId, partition: 3, offset: 10 }],
      beforeMs: 0,
    })
    const bytes = trace.bodies.reduce((sum, body) => sum + body.bytes.length, 0)
    expect(groups.reduce((sum, one) => sum + one.bytes, 0)).toBe(bytes)
    await store.close()
  })
}
