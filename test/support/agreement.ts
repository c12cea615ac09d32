import { type TracesData, tracesFromJson } from '@winnow/otlp'
import type { SamplingReport, TraceListItem, Why } from '@winnow/query'
import {
  type OracleInput,
  type OracleVerdict,
  oracle,
  sameSpans,
  sentSpans,
  type TraceKey,
  traceKey,
} from '@winnow/testing'
import type { SeedRun } from './seed-run.ts'
import { mapWide, type TenantApi } from './tenant-api.ts'
import { thresholdMistakes } from './threshold-check.ts'

/** What was compared, so that a test can say that it was not nothing. */
export interface Agreement {
  readonly kept: number
  readonly dropped: number
  readonly awaiting: number
  /** By primary rule, of kept traces. */
  readonly primaries: Readonly<Record<string, number>>
  /** Traces with a recorded threshold of `slow`. */
  readonly thresholds: number
  readonly evaluations: Readonly<Record<string, number>>
  readonly strangers: number
  /** Each a line; empty when oracle and API agree in all. */
  readonly disagreements: readonly string[]
}

/** What was sent and acknowledged, and where to ask what became of it. */
export interface ComparedRun
  extends Pick<SeedRun, 'seed' | 'requests' | 'evaluations' | 'policy' | 'nowMs' | 'apis'> {
  readonly traces: readonly { readonly tenant: string; readonly traceId: string }[]
  /**
   * How closely the thresholds of `slow` are compared: as of a run that keeps in step, roughly, or not
   * at all where a crash has cost a baseline what it learned last.
   */
  readonly thresholds: 'in step' | 'roughly' | 'as recorded'
  /** Lines of the log that a run without trouble has not. */
  readonly complaints: readonly string[]
}

/** Asks the public API for everything that was sent, and the oracle what it should have answered. */
export async function compareWithOracle(run: ComparedRun): Promise<Agreement> {
  const asked = await askWhy(run)
  const judge = (told: OracleInput['evaluations']): Verdicts =>
    oracle({
      requests: run.requests,
      evaluations: told,
      policy: run.policy,
      nowMs: run.nowMs,
      slowThresholdsMs: (tenant, traceId) => slowThresholds(asked.get(traceKey(tenant, traceId))),
    })
  const verdicts = judge(run.evaluations)
  const all = [...verdicts.values()]
  const evaluations = await compareEvaluations(run, verdicts, judge([]), asked)
  const strangers = await compareStrangers(run, all)
  const kept = all.filter(verdict => verdict.keep && !verdict.awaiting)
  return {
    kept: kept.length,
    dropped: all.filter(verdict => !verdict.keep && !verdict.awaiting).length,
    awaiting: all.filter(verdict => verdict.awaiting).length,
    primaries: countBy(kept, verdict => verdict.primary),
    thresholds: [...asked.values()].filter(why => slowThresholds(why).length > 0).length,
    evaluations: evaluations.states,
    strangers: strangers.asked,
    disagreements: [
      ...section('verdicts', compareVerdicts(all, asked)),
      ...section('kept and dropped bodies', await compareBodies(run, all)),
      ...section('lists', await compareLists(run, all)),
      ...section('counts', await compareCounts(run, all)),
      ...section('evaluations', evaluations.mistakes),
      ...section('other tenants', strangers.mistakes),
      ...section(
        'thresholds of slow',
        run.thresholds === 'as recorded'
          ? []
          : thresholdMistakes(asked, run.thresholds === 'in step'),
      ),
      ...section('complaints', run.complaints),
    ].map(line => `seed ${run.seed}: ${line}`),
  }
}

type Asked = ReadonlyMap<TraceKey, Why>
type Verdicts = ReadonlyMap<TraceKey, OracleVerdict>

function apiOf(run: ComparedRun, tenant: string): TenantApi {
  const api = run.apis.get(tenant)
  if (api === undefined) throw new Error(`there is no key of ${tenant}`)
  return api
}

/** The answers for every trace that was sent or evaluated. */
async function askWhy(run: ComparedRun): Promise<Asked> {
  const ids = new Map<TraceKey, { readonly tenant: string; readonly traceId: string }>()
  for (const one of [...run.traces, ...run.evaluations]) {
    ids.set(traceKey(one.tenant, one.traceId), one)
  }
  const answers = await mapWide([...ids], async ([key, { tenant, traceId }]) => {
    const why = await apiOf(run, tenant).read<Why>(`/api/v1/traces/${traceId}/why`)
    return [key, why] as const
  })
  return new Map(answers)
}

function slowThresholds(why: Why | undefined): number[] {
  const threshold = why?.rules.find(rule => rule.name === 'slow')?.threshold
  return typeof threshold === 'number' ? [threshold] : []
}

function compareVerdicts(verdicts: readonly OracleVerdict[], asked: Asked): string[] {
  return verdicts.flatMap(verdict => {
    const { tenant, traceId } = verdict
    const why = asked.get(traceKey(tenant, traceId))
    const wanted = answerOf(verdict)
    const got = why === undefined ? 'not asked' : toldBy(why)
    if (wanted === got) return []
    return [
      `${tenant}/${traceId}\n  oracle ${wanted} ${reasons(verdict)}\n  api    ${got} ${JSON.stringify(why)}`,
    ]
  })
}

/** Both sides in the same words: state, verdict, primary rule, matching rules, threshold, facts. */
function answerOf(verdict: OracleVerdict): string {
  if (verdict.awaiting) return 'awaiting'
  const { keep, primary, matched, th, spans, durationMs } = verdict
  return JSON.stringify({
    state: keep ? 'kept' : 'dropped',
    verdict: keep ? 'keep' : 'drop',
    primary,
    matched,
    th,
    spanCount: spans.length,
    durationMs,
  })
}

function toldBy(why: Why): string {
  if (why.state === 'awaiting') return 'awaiting'
  const { state, verdict, primary, rules, th, spanCount, durationMs } = why
  const matched = rules.filter(rule => rule.matched).map(rule => rule.name)
  return JSON.stringify({ state, verdict, primary, matched, th, spanCount, durationMs })
}

function reasons(verdict: OracleVerdict): string {
  return JSON.stringify(verdict.why)
}

/** Kept traces come back whole and as sent; dropped ones say that they were dropped. */
async function compareBodies(
  run: ComparedRun,
  verdicts: readonly OracleVerdict[],
): Promise<string[]> {
  // Of what has no body its own `why` has told the state already.
  const hasBody = ({ keep, awaiting }: OracleVerdict): boolean => keep && !awaiting
  const bodiless = verdicts.filter(verdict => !hasBody(verdict))
  const asked = [...verdicts.filter(hasBody), ...spread(bodiless, bodilessMax)]
  const results = await mapWide(asked, async verdict => {
    const { tenant, traceId, keep, awaiting } = verdict
    const { status, text } = await apiOf(run, tenant).get(`/api/v1/traces/${traceId}?format=otlp`)
    const name = `${tenant}/${traceId}`
    if (!keep || awaiting) {
      const state = status === 404 ? JSON.parse(text).why.state : undefined
      const wanted = awaiting ? 'awaiting' : 'dropped'
      return state === wanted ? [] : [`${name}: ${status} ${state}, not 404 ${wanted}`]
    }
    if (status !== 200) return [`${name}: ${status}, ${text}`]
    const got: TracesData = tracesFromJson(text).data
    const difference = sameSpans(verdict.spans, sentSpans(got))
    return difference === null ? [] : [`${name}: ${difference}`]
  })
  return results.flat()
}

/** Searching through all pages finds exactly the tenant's own traces, in each state. */
async function compareLists(
  run: ComparedRun,
  verdicts: readonly OracleVerdict[],
): Promise<string[]> {
  const mistakes: string[] = []
  for (const [tenant, api] of run.apis) {
    for (const state of ['kept', 'dropped', 'awaiting', 'expired'] as const) {
      const wanted = new Set(
        verdicts
          .filter(verdict => verdict.tenant === tenant && stateOf(verdict) === state)
          .map(({ traceId }) => traceId),
      )
      const listed = new Set<string>()
      for await (const item of api.pages<TraceListItem>(
        `/api/v1/search?state=${state}&limit=400`,
      )) {
        if (listed.has(item.traceId)) mistakes.push(`${tenant}: ${item.traceId} is listed twice`)
        listed.add(item.traceId)
      }
      for (const id of wanted.difference(listed)) {
        mistakes.push(`${tenant}: ${id} is not among the ${state}`)
      }
      for (const id of listed.difference(wanted)) {
        mistakes.push(`${tenant}: ${id} is listed as ${state}`)
      }
    }
  }
  return mistakes
}

function stateOf({ awaiting, keep }: OracleVerdict): 'awaiting' | 'kept' | 'dropped' {
  if (awaiting) return 'awaiting'
  return keep ? 'kept' : 'dropped'
}

async function compareCounts(
  run: ComparedRun,
  verdicts: readonly OracleVerdict[],
): Promise<string[]> {
  const mistakes: string[] = []
  for (const [tenant, api] of run.apis) {
    const report = await api.read<SamplingReport>('/api/v1/sampling')
    const own = verdicts.filter(verdict => verdict.tenant === tenant)
    const kept = own.filter(verdict => stateOf(verdict) === 'kept')
    const wanted = sorted({
      ...countBy(own, stateOf),
      ...Object.fromEntries(
        Object.entries(countBy(kept, ({ primary }) => primary)).map(([k, v]) => [`by ${k}`, v]),
      ),
    })
    const got = sorted({
      kept: report.kept,
      dropped: report.dropped,
      awaiting: report.awaiting,
      ...Object.fromEntries(report.rules.map(rule => [`by ${rule.name}`, rule.primary])),
    })
    if (wanted !== got) mistakes.push(`${tenant}\n  oracle ${wanted}\n  api    ${got}`)
  }
  return mistakes
}

function sorted(counts: Readonly<Record<string, number>>): string {
  const given = Object.entries(counts).filter(([, count]) => count > 0)
  return JSON.stringify(given.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Every evaluation says what became of it, in accord with what became of its trace. */
async function compareEvaluations(
  run: ComparedRun,
  verdicts: Verdicts,
  /** What would have become of the traces without any evaluation. */
  without: Verdicts,
  asked: Asked,
): Promise<{ readonly mistakes: readonly string[]; readonly states: Record<string, number> }> {
  const states: Record<string, number> = {}
  const rescued = new Set<TraceKey>()
  const results = await mapWide(run.evaluations, async ({ tenant, traceId, id }) => {
    const key = traceKey(tenant, traceId)
    const path = `/api/v1/evaluations/${traceId}.${encodeURIComponent(id)}`
    const { status, text } = await apiOf(run, tenant).get(path)
    const state: string = status === 200 ? JSON.parse(text).state : `${status} ${text}`
    states[state] = (states[state] ?? 0) + 1
    if (state === 'rescued') rescued.add(key)
    const isRight =
      verdicts.get(key)?.awaiting === true
        ? state === 'awaiting'
        : state === 'applied' || (state === 'rescued' && asked.get(key)?.stratum === 'rescued')
    return isRight ? [] : [`${tenant}/${traceId}.${id} is ${state}`]
  })
  const mistakes = results.flat()
  for (const [key, { keep }] of verdicts) {
    const isByEvaluation = keep && without.get(key)?.keep === false
    if (isByEvaluation && asked.get(key)?.stratum === 'rescued' && !rescued.has(key)) {
      mistakes.push(`${key} was dropped first and kept by its evaluation, and none says so`)
    }
  }
  return { mistakes, states }
}

/** So many traces of other tenants are asked for, and so many dropped ones for their bodies. */
export const strangersMax = 1_000
const bodilessMax = 1_000

/** At most so many of them, evenly over all. */
function spread<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all
  return Array.from({ length: most }, (_, at) => all[Math.floor((at * all.length) / most)] as T)
}

/** A key sees nothing of the other tenant's traces, not even that they are there. */
async function compareStrangers(
  run: ComparedRun,
  verdicts: readonly OracleVerdict[],
): Promise<{ readonly mistakes: readonly string[]; readonly asked: number }> {
  const owners = Map.groupBy(verdicts, ({ traceId }) => traceId)
  const questions = verdicts.flatMap(({ tenant, traceId }) =>
    [...run.apis.keys()]
      .filter(other => other !== tenant && (owners.get(traceId)?.length ?? 0) === 1)
      .map(other => ({ other, traceId })),
  )
  // Such a question goes to every store, and is the dearest of all.
  const asked = spread(questions, strangersMax)
  const results = await mapWide(asked, async ({ other, traceId }) => {
    const api = apiOf(run, other)
    const { status, text } = await api.get(`/api/v1/traces/${traceId}`)
    const states = [status, JSON.parse(text).why?.state]
    // The same answer from the other path: asked of some, because each question costs.
    if (traceId.startsWith('0')) {
      states.push((await api.read<Why>(`/api/v1/traces/${traceId}/why`)).state)
    }
    return states[0] === 404 && states.slice(1).every(state => state === 'unknown')
      ? []
      : [`${other} sees ${traceId} of another: ${states}`]
  })
  return { mistakes: results.flat(), asked: asked.length }
}

/** The first five of a kind, with their number. */
function section(name: string, mistakes: readonly string[]): string[] {
  if (mistakes.length === 0) return []
  return [`${name}, ${mistakes.length} wrong, the first:`, ...mistakes.slice(0, 5)]
}

function countBy<T>(items: readonly T[], of: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[of(item)] = (counts[of(item)] ?? 0) + 1
  return counts
}
