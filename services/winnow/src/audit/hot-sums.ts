import { type HeldTrace, type HotCount, hotGroups } from '@winnow/storage'
import type { LedgerTrace } from './ledger-traces.ts'

export interface HotSums {
  readonly traces: number
  readonly spans: number
  /** Of the slices, as clients sent them. */
  readonly bytes: number
}

/** What the ledger says of one group. */
export interface LedgerCount {
  traces: number
  spans: number
  spansUnsure: number
  bytes: number
  bytesUnsure: number
}

/** Whether there is nothing to look into: what is not known for sure may be there or not. */
export function isEven(ledger: LedgerCount, held: HotCount): boolean {
  const traces = ledger.traces - held.traces
  const spans = ledger.spans - held.spans
  const bytes = ledger.bytes - held.bytes
  return (
    traces >= 0 &&
    traces <= held.later &&
    spans >= 0 &&
    spans <= ledger.spansUnsure &&
    bytes >= 0 &&
    bytes <= ledger.bytesUnsure
  )
}

/** Of a trace that both have. What was decided behind the ledger's end may be more than it says. */
export function differences(
  said: LedgerTrace,
  { spans, bytes, isWithin }: HeldTrace,
): [number, number] {
  const off = (is: number, most: number, unsure: number): number => {
    if (is < most - unsure) return is - (most - unsure)
    return isWithin && is > most ? is - most : 0
  }
  return [off(spans, said.spans, said.spansUnsure), off(bytes, said.bytes, said.bytesUnsure)]
}

/** Two series of one trace in one day: spans may be in both. */
export function together(a: LedgerTrace, b: LedgerTrace): LedgerTrace {
  const spans = a.spans + b.spans
  const unsure = Math.min(a.spans, b.spans) + a.spansUnsure + b.spansUnsure
  const [bytes, bytesUnsure] = [a.bytes + b.bytes, a.bytesUnsure + b.bytesUnsure]
  return { ...a, spans, spansUnsure: Math.min(spans, unsure), bytes, bytesUnsure }
}

export function addTo(
  count: LedgerCount,
  { spans, spansUnsure, bytes, bytesUnsure }: LedgerTrace,
): void {
  count.traces++
  count.spans += spans
  count.spansUnsure += spansUnsure
  count.bytes += bytes
  count.bytesUnsure += bytesUnsure
}

/** Groups that agree, or were looked into, hold what the ledger says but for what was found. */
export function sumDay(
  ledger: readonly LedgerCount[],
  groups: readonly HotCount[],
  deltaOf: (at: number) => HotSums | undefined,
): { readonly ledger: HotSums; readonly held: HotSums } {
  const said = { traces: 0, spans: 0, bytes: 0 }
  const held = { traces: 0, spans: 0, bytes: 0 }
  for (const [at, one] of ledger.entries()) {
    const counted = groups[at] ?? { traces: 0, later: 0, spans: 0, bytes: 0 }
    const delta =
      deltaOf(at) ?? (isEven(one, counted) ? { traces: 0, spans: 0, bytes: 0 } : undefined)
    // Where not every slice could be written, as much is due as is there.
    const due = {
      traces: one.traces,
      spans: one.spans - clamp(one.spans - counted.spans, one.spansUnsure),
      bytes: one.bytes - clamp(one.bytes - counted.bytes, one.bytesUnsure),
    }
    for (const what of ['traces', 'spans', 'bytes'] as const) {
      said[what] += due[what]
      held[what] += delta === undefined ? counted[what] : due[what] + delta[what]
    }
  }
  return { ledger: said, held }
}

function clamp(value: number, max: number): number {
  return Math.min(Math.max(value, 0), max)
}

/** Of nothing, anything is all of it. */
export function percentOf(difference: number, of: number): number {
  if (difference === 0) return 0
  return of === 0 ? 100 : (100 * difference) / of
}

export function noGroups(): LedgerCount[] {
  return hotGroups.map(() => ({ traces: 0, spans: 0, spansUnsure: 0, bytes: 0, bytesUnsure: 0 }))
}
