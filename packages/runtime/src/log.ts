import { pino } from 'pino'
import type { Clock } from './clock.ts'

/** Numbers, names and ids only: never an attribute's value, a body or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** JSON lines. `kind` names the event, e.g. `receiver.append_failed`; text goes into the fields. */
export interface Log {
  info(kind: string, fields?: LogFields): void
  /** At most one line a kind and minute; the next one says how many were held back. */
  warn(kind: string, fields?: LogFields): void
  /** As `warn`, with the error's code, message and the first line of its stack. */
  error(kind: string, error: unknown, fields?: LogFields): void
}

const REPEAT_MS = 60_000

/** `write` gets whole lines; standard error where it is absent. */
export function createLog(clock: Clock, write?: (line: string) => void): Log {
  const options = { base: null, timestamp: false, level: 'info' } as const
  const sink = write === undefined ? pino.destination({ dest: 2, sync: true }) : { write }
  const out = pino(options, sink)
  const held = new Map<string, { untilMs: number; count: number }>()
  const at = (): string => new Date(clock.nowMs()).toISOString()

  const limited = (level: 'warn' | 'error', kind: string, fields: LogFields): void => {
    const last = held.get(kind)
    if (last !== undefined && clock.nowMs() < last.untilMs) {
      last.count++
      return
    }
    held.set(kind, { untilMs: clock.nowMs() + REPEAT_MS, count: 0 })
    const repeated = last?.count ?? 0
    out[level]({ at: at(), kind, ...fields, ...(repeated > 0 && { repeated }) })
  }

  return {
    info: (kind, fields = {}) => out.info({ at: at(), kind, ...fields }),
    warn: (kind, fields = {}) => limited('warn', kind, fields),
    error: (kind, error, fields = {}) => limited('error', kind, { ...fields, ...describe(error) }),
  }
}

function describe(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) }
  const code = (error as { code?: unknown }).code
  return {
    error: error.message,
    where: error.stack?.split('\n')[1]?.trim(),
    ...(typeof code === 'string' && { code }),
  }
}

/** `log`, with every warning and error told to `count`, those that are held back too. */
export function countingLog(log: Log, count: (level: 'warn' | 'error') => void): Log {
  return {
    info: (kind, fields) => log.info(kind, fields),
    warn: (kind, fields) => {
      count('warn')
      log.warn(kind, fields)
    },
    error: (kind, error, fields) => {
      count('error')
      log.error(kind, error, fields)
    },
  }
}

/** Says nothing. For tests. */
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }
