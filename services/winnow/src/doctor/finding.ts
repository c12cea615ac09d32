import { PipelineError } from '@winnow/runtime'

/** `warning`: it works, and something is not as it should be. `failed`: it would not work. */
export type Status = 'ok' | 'warning' | 'failed'

/** One thing that was looked at. Never a secret in it. */
export interface Finding {
  /** The key of `winnow.yaml` that it is about. */
  readonly key: string
  readonly status: Status
  readonly found: string
  readonly remedy?: string
}

/** Looks at one thing the configuration names, and leaves it as it was. */
export interface Check {
  readonly key: string
  look(): Promise<readonly Finding[]>
}

export function ok(key: string, found: string): Finding {
  return { key, status: 'ok', found }
}

export function warning(key: string, found: string, remedy: string): Finding {
  return { key, status: 'warning', found, remedy }
}

export function failed(key: string, found: string, remedy?: string): Finding {
  return { key, status: 'failed', found, ...(remedy !== undefined && { remedy }) }
}

/** An error as a finding; our own name the key, the value and the remedy themselves. */
export function findingOf(key: string, error: unknown): Finding {
  const text = error instanceof Error ? error.message : String(error)
  if (!(error instanceof PipelineError)) return failed(key, text)
  const plain = text.replace(/^\[\w+\] /, '')
  // The key stands at the beginning of the line already.
  return failed(key, plain.startsWith(`${key} `) ? plain.slice(key.length + 1) : plain)
}

/** Whoever has not answered by then is reported as silent, and the others are not held up. */
export const lookWaitMaxMs = 15_000

/** All at once; each in its time. In the order of the checks. */
export async function examine(
  checks: readonly Check[],
  waitMs: number = lookWaitMaxMs,
): Promise<Finding[]> {
  return (await Promise.all(checks.map(check => lookInTime(check, waitMs)))).flat()
}

async function lookInTime(check: Check, waitMs: number): Promise<readonly Finding[]> {
  const late = Promise.withResolvers<readonly Finding[]>()
  const silent = failed(check.key, `no answer within ${waitMs / 1000} s`, 'see whether it hangs')
  const timer = setTimeout(() => late.resolve([silent]), waitMs)
  const looked = check.look().catch((error: unknown) => [findingOf(check.key, error)])
  return Promise.race([looked, late.promise]).finally(() => clearTimeout(timer))
}
