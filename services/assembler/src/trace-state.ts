/**
 * What an open trace waits for. The table is total: a state or an event without a line does not
 * compile, and `undefined` says that the event cannot happen there.
 *
 *              ┌────────── slice ──────────┐
 *              ▼                           │
 *   new ──▶ rootless ──root──▶ rooted ──due─┬─▶ closing ──acknowledged──▶ (forgotten)
 *              │                            │
 *              └──────── due, over ─────────┘
 *
 * `closing` still holds the commit back: a summary that is not acknowledged may not exist.
 */
export type TraceState = 'rootless' | 'rooted' | 'closing'

/** `root`: a span without parent came. `due`: a wait ended. `over`: a limit was reached. */
export type TraceEvent = 'slice' | 'root' | 'due' | 'over' | 'acknowledged'

export type Transition = TraceState | 'forgotten' | undefined

export const transitions: Readonly<Record<TraceState, Readonly<Record<TraceEvent, Transition>>>> = {
  rootless: {
    slice: 'rootless',
    root: 'rooted',
    due: 'closing',
    over: 'closing',
    acknowledged: undefined,
  },
  rooted: {
    slice: 'rooted',
    root: 'rooted',
    due: 'closing',
    over: 'closing',
    acknowledged: undefined,
  },
  closing: {
    slice: undefined, // a slice of a closing trace opens it anew: a fragment
    root: undefined,
    due: undefined,
    over: undefined,
    acknowledged: 'forgotten',
  },
}
