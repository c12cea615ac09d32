/** The parts of a span that the picture needs, as the API sends them. */
export interface WaterfallSpan {
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code?: number }
  readonly genAi?: {
    readonly model?: unknown
    readonly inputTokens?: unknown
    readonly outputTokens?: unknown
    readonly costUsd?: unknown
  } | null
}

/** Spans shown at most; the rest are counted in the last line. */
export const waterfallSpansMax = 500

const NAME_COLUMNS = 36

/**
 * A tree beside bars on one time axis:
 *
 *   refund_chat.turn                2608 ms  ████████████████████████████████
 *   ├─ llm.query_rewrite              35 ms  ▏                                 gpt-4o-mini 84→22
 */
export function waterfall(spans: readonly WaterfallSpan[], columns: number): string {
  if (spans.length === 0) return 'no spans\n'
  const rows = treeRows(spans)
  const times = spans.map(span => [ns(span.startTimeUnixNano), ns(span.endTimeUnixNano)] as const)
  const from = times.reduce(
    (least, [start]) => (start < least ? start : least),
    times[0]?.[0] ?? 0n,
  )
  const to = times.reduce((most, [, end]) => (end > most ? end : most), from)
  const barColumns = Math.max(20, Math.min(60, columns - NAME_COLUMNS - 40))
  const lines = rows.slice(0, waterfallSpansMax).map(({ span, prefix }) => {
    const name = clip(prefix + span.name, NAME_COLUMNS).padEnd(NAME_COLUMNS)
    const start = ns(span.startTimeUnixNano)
    const end = ns(span.endTimeUnixNano)
    const mark = span.status.code === 2 ? '✗' : ' '
    const bar = barOf(start, end, from, to, barColumns)
    const took = end < start ? 0n : end - start
    return `${name} ${milliseconds(took).padStart(10)} ${mark} ${bar}  ${genAiText(span)}`.trimEnd()
  })
  const hidden = rows.length - lines.length
  if (hidden > 0) lines.push(`… and ${hidden} more spans (--json has them all)`)
  return `${lines.join('\n')}\n`
}

interface Row {
  readonly span: WaterfallSpan
  readonly prefix: string
}

function treeRows(spans: readonly WaterfallSpan[]): Row[] {
  const ids = new Set(spans.map(span => span.spanId))
  const children = new Map<string, WaterfallSpan[]>()
  for (const span of spans) {
    // A parent that is not there, or a span that names itself, leaves a root of its own.
    const known = ids.has(span.parentSpanId) && span.parentSpanId !== span.spanId
    const parent = known ? span.parentSpanId : ''
    children.set(parent, [...(children.get(parent) ?? []), span])
  }
  const rows: Row[] = []
  const shown = new Set<string>()
  const stack: { span: WaterfallSpan; lead: string; prefix: string }[] = []
  const push = (parent: string, lead: string, top: boolean): void => {
    const list = children.get(parent) ?? []
    for (let at = list.length - 1; at >= 0; at--) {
      const last = at === list.length - 1
      const prefix = top ? '' : `${lead}${last ? '└─ ' : '├─ '}`
      stack.push({
        span: list[at] as WaterfallSpan,
        lead: top ? '' : `${lead}${last ? '   ' : '│  '}`,
        prefix,
      })
    }
  }
  push('', '', true)
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (shown.has(next.span.spanId)) continue
    shown.add(next.span.spanId)
    rows.push(next)
    push(next.span.spanId, next.lead, false)
  }
  // Spans in a ring of parents hang on no root; they are listed all the same.
  for (const span of spans) if (!shown.has(span.spanId)) rows.push({ span, prefix: '? ' })
  return rows
}

function barOf(start: bigint, end: bigint, from: bigint, to: bigint, columns: number): string {
  const whole = to - from
  if (whole <= 0n) return '▏'.padEnd(columns)
  const at = (time: bigint): number => Number(((time - from) * BigInt(columns * 8)) / whole)
  const first = Math.min(Math.floor(at(start) / 8), columns - 1)
  const eighths = Math.max(1, at(end) - at(start))
  const full = Math.min(Math.floor(eighths / 8), columns - first)
  const rest = full === columns - first ? 0 : eighths % 8
  const tail = full === 0 || rest > 0 ? (EIGHTHS[rest] ?? '') : ''
  return `${' '.repeat(first)}${'█'.repeat(full)}${tail}`.padEnd(columns)
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

function genAiText(span: WaterfallSpan): string {
  const { model, inputTokens, outputTokens, costUsd } = span.genAi ?? {}
  const tokens =
    inputTokens == null && outputTokens == null
      ? ''
      : `${inputTokens ?? '?'}→${outputTokens ?? '?'}`
  const cost = typeof costUsd === 'number' ? dollars(costUsd) : ''
  return [model ?? '', tokens, cost].filter(part => part !== '').join(' ')
}

/** Without an exponent, which nobody reads as money. */
function dollars(costUsd: number): string {
  return `$${costUsd.toLocaleString('en-US', { maximumSignificantDigits: 3, useGrouping: false })}`
}

function milliseconds(nanoseconds: bigint): string {
  const ms = Number(nanoseconds) / 1e6
  return `${ms >= 100 ? Math.round(ms) : Math.round(ms * 100) / 100} ms`
}

function clip(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`
}

function ns(decimal: string): bigint {
  return BigInt(decimal)
}
