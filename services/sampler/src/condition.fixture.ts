import type { Evaluation, PackedSlice } from '@winnow/model'
import { checkCondition } from './condition-check.ts'
import { asOwn, CitationView, conditionEnvironment } from './condition-environment.ts'
import { conditionFacts } from './condition-facts.ts'
import { OutcomeView, RootView, SpanView, type Values } from './condition-values.ts'
import { ConditionView } from './condition-view.ts'
import { root, slice, spanIdOf } from './fixtures.ts'
import { foldTrace } from './fold.ts'
import { ruleEnvironment } from './revision.fixture.ts'

/** A trace to ask conditions about: the root, span 1, gold and with code 200; span 2 with code 500; another slice with span 3, no tier. */
const columns = ['tier', 'code', ':name', ':kind', ':status', ':state:v', ':sampled']
export const trace: readonly PackedSlice[] = [
  slice(
    1,
    [
      { id: 1, inputTokens: 10, costUsd: 0.5 },
      { id: 2, startMs: 30, outputTokens: 5, error: true },
    ],
    root(250, {
      columns,
      rows: [
        ['gold', 200, 'turn', 'server', 'OK', 'x', true],
        [null, 500, 'llm', 'client', 'ERROR'],
      ],
      rootRows: [[spanIdOf(1), 0]],
      endNs: '250000000',
      experiment: 'e',
      variant: 'B',
    }),
  ),
  slice(2, [{ id: 3, startMs: 100 }], {
    columns: ['code', 'extra', ':requestModel', ':durationMs'],
    rows: [['503', {}, 'm-1', 12.5]],
    services: ['retrieval'],
    truncated: true,
  }),
]
export const said: readonly Evaluation[] = [
  { id: '1', name: 'judge', score: 0.9, label: 'fine', passed: true },
  { id: '2', name: 'judge', score: 0.4 },
  { id: '3', name: 'csat', label: '3' },
  { id: '4', name: 'csat', score: 77 },
  { id: '5', name: 'resolved', passed: false },
  { id: '6', name: 'outcome.tone', score: 2, passed: true },
]

/** What conditions say of it, and of what was said about it once it was closed by its root. */
export const trueOfTrace: readonly string[] = [
  'spanCount == 3 && duplicateSpans == 0 && durationMs == 250',
  'errorCount == 1 && fatalErrors == 1 && recoveredErrors == 0',
  'hasRoot && root.name == "refund_chat.turn" && root.service == "refund-bot"',
  'root.durationMs == 250.0 && !root.failed && service == "refund-bot"',
  'root.attribute["tier"] == "gold" && root.attribute["code"] == 200',
  '!(root.attribute["code"] == 500) && !root.attribute["extra"].isPresent()',
  'size(services) == 2 && "retrieval" in services',
  'inputTokens == 10 && outputTokens == 5 && totalTokens == 15 && costUsd == 0.5',
  '"m-1" in models && !("m" in models)',
  'experiment == "e" && variant == "B"',
  'judge.score == 0.4 && judge.scoreMax == 0.9 && judge.passed && !judge.failed',
  'judge.isPresent && !citation.isPresent && "fine" in judge.labels',
  'csat == 3.0 && hasFailedOutcome',
  'outcome["resolved"].failed && !outcome["resolved"].passed',
  'outcome["tone"].passed && outcome["outcome.tone"].score == 2',
  '!outcome["other"].isPresent && !(outcome["other"].score > 0) && !(outcome["other"].score <= 0)',
  'closeReason == "root" && complete && missingParents == 0',
  'attribute["tier"] == "gold" && attribute["code"] > 400 && !(attribute["code"] > 500)',
  'attribute["code"].asNumber() > 500 && attribute["code"].asText() == "503"',
  'attribute["code"] in [500, 7] && attribute["code"] in ["503"] && 200 == attribute["code"]',
  'attribute["extra"].isPresent() && !(attribute["extra"] == "") && attribute["extra"] != 1',
  'attribute["tier"].matches("^go+ld$") && attribute["tier"].startsWith("go")',
  'attribute["tier"].contains("ol") && attribute["tier"].endsWith("d")',
  '!attribute["never"].isPresent() && !(attribute["never"] < 5) && !(attribute["never"] >= 5)',
  'traceState["v"] == "x" && isSampled',
  '"OK" in statuses && "ERROR" in statuses && !("UNSET" in statuses)',
  'spans.exists(s, s.attribute["code"] == 500 && s.name == "llm" && s.kind == "client")',
  '!spans.exists(s, s.attribute["tier"] == "gold" && s.attribute["code"] == 500)',
  'spans.exists(s, !s.attribute["tier"].isPresent() && s.status == "ERROR")',
  'spans.exists(s, s.isSampled && s.traceState["v"] == "x") && size(spans) == 3',
  'spans.exists(s, s.durationMs > 12)',
  'truncated',
]

/** All names that the conditions here have in quotes. */
const names = ['tier', 'code', 'extra', 'never', 'k', 'n']
const outcomes = ['resolved', 'tone', 'outcome.tone', 'other']

/** The same facts as the library wants them: maps, and objects of the types that were registered. */
function contextOf(view: ConditionView): Record<string, unknown> {
  const context: Record<string, unknown> = {}
  for (const { name } of conditionFacts) {
    if (/^\w+$/.test(name)) context[name] = view[name as keyof ConditionView]
  }
  const mapOf = (of: (name: string) => Values) => new Map(names.map(name => [name, of(name)]))
  context.attribute = mapOf(name => view.values(name))
  context.traceState = new Map([['v', view.values(':state:v')]])
  context.outcome = new Map(outcomes.map(name => [name, view.outcome(name)]))
  context.judge = Object.assign(new OutcomeView(), view.judge)
  context.citation = Object.assign(new CitationView(), view.citation)
  const rootFields = { ...view.root, attribute: mapOf(name => view.rootValues(name)) }
  context.root = Object.assign(new RootView(), rootFields)
  context.spans = view.spans.map(span => {
    const { name, kind, status, durationMs, isSampled } = span
    const attribute = mapOf(of => span.values(of))
    const traceState = new Map([['v', span.values(':state:v')]])
    const fields = { name, kind, status, durationMs, isSampled, attribute, traceState }
    const own = Object.entries(fields).map(([field, value]) => [field, { value }])
    return Object.create(SpanView.prototype, Object.fromEntries(own))
  })
  return context
}

const close = { closeReason: 'root', complete: true, missingParents: 0 } as const

function viewOf(slices: readonly PackedSlice[], evaluations: readonly Evaluation[]): ConditionView {
  return new ConditionView(foldTrace(slices, evaluations), ruleEnvironment({ close }))
}

/** What our own closures and the library say of a condition, and which values they have shown. */
export function bothOf(
  text: string,
  slices: readonly PackedSlice[],
  evaluations: readonly Evaluation[],
) {
  const check = checkCondition(text)
  if (!check.ok) throw new Error(`${text}: ${check.mistakes[0]?.message}`)
  const own = viewOf(slices, evaluations)
  const theirs = viewOf(slices, evaluations)
  const parsed = conditionEnvironment().parse(text)
  asOwn(parsed.ast)
  parsed.check()
  const shown = (of: ConditionView) =>
    names.flatMap(name => [of.values(name).shown, of.rootValues(name).shown])
  return {
    own: [check.condition.program(own, undefined), shown(own)],
    theirs: [parsed(contextOf(theirs)), shown(theirs)],
  }
}
