import type { Metrics } from '@winnow/runtime'
import { type Erasure, isActive } from './erasure-record.ts'

/** What an operator is told of erasures; times are 0 where none is meant. */
export interface ErasureGauges {
  /** Whose last step failed, or met what cannot be read: they may need somebody. */
  readonly failing: number
  /** When the oldest was asked for whose traces are not all removed yet. */
  readonly oldestAskedAtMs: number
  /** When the first of those that were removed has outlived what it waits for. */
  readonly firstDueAtMs: number
}

export function erasureGauges(all: readonly Erasure[]): ErasureGauges {
  const active = all.filter(isActive)
  const earliest = (times: readonly number[]): number =>
    times.reduce((first, one) => (first === 0 || one < first ? one : first), 0)
  const running = active.filter(({ state }) => state === 'running')
  const waiting = active.filter(({ state }) => state === 'waiting-for-retention')
  return {
    failing: active.filter(({ failing, aside }) => failing !== undefined || aside !== undefined)
      .length,
    oldestAskedAtMs: earliest(running.map(({ askedAtMs }) => askedAtMs)),
    firstDueAtMs: earliest(
      waiting.map(({ waits, askedAtMs }) =>
        Math.max(askedAtMs, ...waits.map(({ untilMs }) => untilMs)),
      ),
    ),
  }
}

/** Of the writer that carries them out; another one that did so before says that there are none. */
export function sayErasures(metrics: Metrics | undefined, all: readonly Erasure[]): void {
  if (metrics === undefined) return
  const { failing, oldestAskedAtMs, firstDueAtMs } = erasureGauges(all)
  metrics.erasuresFailing.set(failing)
  metrics.erasureOldestAsked.set(oldestAskedAtMs / 1_000)
  metrics.erasureFirstDue.set(firstDueAtMs / 1_000)
}
