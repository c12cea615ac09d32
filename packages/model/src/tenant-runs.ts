import { acceptsVersion, writtenVersion } from './formats.ts'

/**
 * The header of a record on `spans`: which bytes of its value belong to which tenant. Runs lie one
 * after another without gap and each is itself valid `TracesData`.
 */
export interface TenantRun {
  readonly tenant: string
  readonly start: number
  readonly length: number
}

/** `{"v":1,"runs":[["tenant",start,length],…]}` in UTF-8. */
export function encodeTenantRuns(runs: readonly TenantRun[]): Uint8Array {
  const rows = runs.map(run => [run.tenant, run.start, run.length])
  return new TextEncoder().encode(JSON.stringify({ v: writtenVersion('tenantRuns'), runs: rows }))
}

/** Undefined where the bytes are no header of this or the one earlier format. */
export function decodeTenantRuns(header: Uint8Array): TenantRun[] | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header))
    if (!isHeader(parsed) || !acceptsVersion('tenantRuns', parsed.v)) return undefined
    return parsed.runs.map(([tenant, start, length]) => ({ tenant, start, length }))
  } catch {
    return undefined
  }
}

type Row = [tenant: string, start: number, length: number]

function isHeader(value: unknown): value is { v: number; runs: Row[] } {
  const runs = (value as { runs?: unknown } | null)?.runs
  return (
    Array.isArray(runs) &&
    runs.every(
      row =>
        Array.isArray(row) &&
        typeof row[0] === 'string' &&
        Number.isSafeInteger(row[1]) &&
        Number.isSafeInteger(row[2]),
    )
  )
}
