import { expect } from 'vitest'
import { compareWithOracle, strangersMax } from './agreement.ts'
import type { SeedRun } from './seed-run.ts'

/** The rules that some trace of any seed is kept by; `active-variant` where one is registered. */
const rules = [
  'span-error',
  'judge-failed',
  'citation-failed',
  'low-csat',
  'outcome-failed',
  'slow',
  'ordinary',
] as const

/**
 * Fails with the first disagreements between API and oracle, each with both answers and the seed, or
 * when the traffic did not hold what the comparison is about. Stops the run in any case.
 */
export async function expectAgreement(run: SeedRun, isVariantActive: boolean): Promise<void> {
  try {
    const agreement = await compareWithOracle({
      ...run,
      thresholds: run.isInStep ? 'in step' : 'roughly',
      complaints: run.isLocal ? run.harness.complaints : [],
    })
    expect(agreement.disagreements.join('\n')).toBe('')
    const seed = `seed ${run.seed}`
    const { kept, dropped, primaries, evaluations, thresholds, strangers } = agreement
    expect(kept + dropped, seed).toBe(run.traces.length)
    const expected = isVariantActive ? [...rules, 'active-variant'] : rules
    expect(Object.keys(primaries).sort(), seed).toEqual(expected.toSorted())
    // Outcomes that came too late for the first decision, in time, and for nothing.
    expect(Object.keys(evaluations).sort(), seed).toEqual(['applied', 'awaiting', 'rescued'])
    expect(evaluations.rescued, seed).toBeGreaterThan(run.traces.length / 200)
    expect(thresholds, seed).toBeGreaterThan(run.traces.length / 4)
    // All but the few ids that both tenants have used.
    const ownIds = run.traces.length * 0.98
    expect(strangers, seed).toBeGreaterThanOrEqual(Math.min(strangersMax, ownIds))
    for (const reason of ['root', 'rootless', 'long']) {
      const closed = await run.harness.counted('winnow_traces_closed_total', { reason })
      expect(closed, `${seed}: closed as ${reason}`).toBeGreaterThan(0)
    }
    const repeated = await run.harness.counted('winnow_duplicate_spans_total')
    expect(repeated, `${seed}: spans that clients sent twice`).toBeGreaterThan(0)
  } finally {
    await run.stop()
  }
}
