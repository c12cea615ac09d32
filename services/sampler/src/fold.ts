// Hot: once a revision; spans are met in span-table.ts alone, here are lists of a slice's facts.
import {
  compareRefs,
  type Evaluation,
  type PackedSlice,
  type RootFact,
  refKey,
  type SpanOutcome,
} from '@winnow/model'
import { SpanTable } from './span-table.ts'

/** What rules look at: the fold of a trace's slices and evaluations (protocol F). */
export interface TraceFacts {
  /** What the rest was folded from, in order: for what only some rules ask. */
  readonly slices: readonly PackedSlice[]
  /** Distinct spans, and repeats of them. */
  readonly spanCount: number
  readonly duplicateSpans: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number
  /** Distinct spans with status ERROR: on the root or the last attempt of their operation, or not. */
  readonly fatalErrors: number
  readonly recoveredErrors: number
  /** The failed span to show: a fatal one where there is one. */
  readonly errorSpanId: string | null
  readonly root: RootFact | null
  /** Append times of the first and the last slice, log time; null without slices. */
  readonly firstAppendedAtMs: number | null
  readonly lastAppendedAtMs: number | null
  readonly services: readonly string[]
  readonly experiment: string | null
  readonly variant: string | null
  /** As the first slice that has one states it. */
  readonly rv: string | undefined
  /** The strictest upstream threshold, 14 hex digits. */
  readonly upstream: string | undefined
  /** What the spans state, in the order of the fold, then what was sent beside them. */
  readonly outcomes: readonly Outcome[]
  /** Values of span attributes that were no number where one was wanted. */
  readonly ignored: number
}

/** An outcome with where it comes from: a span, or an evaluation that may name one. */
export type Outcome = Omit<SpanOutcome, 'spanId'> & { readonly spanId?: string }

const table = new SpanTable()
const nothing: readonly never[] = []

/** An experiment's arm. */
interface Arm {
  readonly experiment: string
  readonly variant: string
}

/**
 * A function of sets: the order of `slices` and repeats among them change nothing, nor does that of
 * `evaluations` change more than the order of outcomes. `watched`: arms that a rule asks for. Hot, once a trace.
 */
export function foldTrace(
  slices: readonly PackedSlice[],
  evaluations: readonly Evaluation[] = nothing,
  watched: readonly Arm[] = nothing,
): TraceFacts {
  const folded = inOrder(slices)
  table.load(folded)
  const root = rootOf(folded)
  const fatal = table.errors > 0 ? table.fatal(root) : noError
  let services: string[] | undefined
  let outcomes: Outcome[] | undefined
  let experiment: string | null = null
  let variant: string | null = null
  let rv: string | undefined
  let upstream: string | undefined
  let firstAppendedAtMs: number | null = null
  let lastAppendedAtMs: number | null = null
  let ignored = 0
  for (let i = 0; i < folded.length; i++) {
    const { lists, appendedAtMs } = folded[i] as PackedSlice
    firstAppendedAtMs = Math.min(firstAppendedAtMs ?? appendedAtMs, appendedAtMs)
    lastAppendedAtMs = Math.max(lastAppendedAtMs ?? appendedAtMs, appendedAtMs)
    services = union(services, lists.services)
    if (lists.outcomes !== undefined) outcomes = [...(outcomes ?? nothing), ...lists.outcomes]
    experiment ??= lists.experiment ?? null
    variant ??= lists.variant ?? null
    rv ??= lists.rv
    if (lists.th !== undefined) upstream = stricter(upstream, lists.th)
    ignored += lists.ignored ?? 0
  }
  if (evaluations.length > 0) {
    outcomes = [...(outcomes ?? nothing), ...evaluations]
    // What the spans say comes first. Without spans nothing is said of a variant: it would count under a cap.
    if (folded.length > 0 && experiment === null && variant === null) {
      const arm = armOf(evaluations, watched)
      experiment = arm?.experiment ?? null
      variant = arm?.variant ?? null
    }
  }
  return {
    slices: folded,
    spanCount: table.count - table.duplicates,
    duplicateSpans: table.duplicates,
    inputTokens: table.inputTokens,
    outputTokens: table.outputTokens,
    costUsd: table.costUsd,
    fatalErrors: fatal.count,
    recoveredErrors: table.errors - fatal.count,
    errorSpanId: fatal.spanId,
    root,
    firstAppendedAtMs,
    lastAppendedAtMs,
    services: services ?? nothing,
    experiment,
    variant,
    rv,
    upstream,
    outcomes: outcomes ?? nothing,
    ignored,
  }
}

/**
 * Which arm evaluations give the trace, whatever came first: one that a rule asks for before others,
 * because a trace meets many flags; of equals the one whose name comes first.
 */
function armOf(evaluations: readonly Evaluation[], watched: readonly Arm[]): Arm | undefined {
  let first: Arm | undefined
  let isFirstWatched = false
  for (const { experiment, variant } of evaluations) {
    if (experiment === undefined || variant === undefined) continue
    const isWatched = watched.some(arm => arm.experiment === experiment && arm.variant === variant)
    if (first !== undefined) {
      if (isFirstWatched && !isWatched) continue
      if (isFirstWatched === isWatched && !isBefore({ experiment, variant }, first)) continue
    }
    first = { experiment, variant }
    isFirstWatched = isWatched
  }
  return first
}

function isBefore(a: Arm, b: Arm): boolean {
  return a.experiment === b.experiment ? a.variant < b.variant : a.experiment < b.experiment
}

/** Distinct slices by (offset, start), as decisions carry them. */
export function inOrder(slices: readonly PackedSlice[]): readonly PackedSlice[] {
  if (isInOrder(slices)) return slices
  const byRef = new Map<string, PackedSlice>()
  for (const slice of slices) {
    const key = refKey(slice.ref)
    if (!byRef.has(key)) byRef.set(key, slice)
  }
  return [...byRef.values()].sort((a, b) => compareRefs(a.ref, b.ref))
}

const noError = { count: 0, spanId: null } as const

function isInOrder(slices: readonly PackedSlice[]): boolean {
  for (let i = 1; i < slices.length; i++) {
    if (compareRefs((slices[i - 1] as PackedSlice).ref, (slices[i] as PackedSlice).ref) >= 0)
      return false
  }
  return true
}

/**
 * The span without parent that started first (then the smallest id), else such an entry span whose
 * parent is not among the trace's spans.
 */
function rootOf(slices: readonly PackedSlice[]): RootFact | null {
  let root: RootFact | null = null
  let entry: RootFact | null = null
  for (let i = 0; i < slices.length; i++) {
    const roots = (slices[i] as PackedSlice).lists.roots ?? nothing
    for (let j = 0; j < roots.length; j++) {
      const candidate = roots[j] as RootFact
      if (candidate.parentId === undefined) {
        if (root === null || isEarlier(candidate, root)) root = candidate
      } else if (root === null && (entry === null || isEarlier(candidate, entry))) {
        if (!table.has(candidate.parentId)) entry = candidate
      }
    }
  }
  return root ?? entry
}

function isEarlier(a: RootFact, b: RootFact): boolean {
  const order = compareDecimal(a.startNs, b.startNs)
  return order < 0 || (order === 0 && a.spanId < b.spanId)
}

/** Compares decimal texts without leading zeros as numbers; nanoseconds exceed a double. */
function compareDecimal(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}

function union(known: string[] | undefined, more: readonly string[] | undefined) {
  if (more === undefined || known === undefined) return known ?? more?.slice()
  for (let i = 0; i < more.length; i++) {
    if (!known.includes(more[i] as string)) known.push(more[i] as string)
  }
  return known
}

/** Thresholds of equal length compare as text. One that is not hex is ignored. */
function stricter(known: string | undefined, text: string): string | undefined {
  if (!/^[0-9a-f]{1,14}$/.test(text)) return known
  const padded = text.padEnd(14, '0')
  return known === undefined || padded > known ? padded : known
}
