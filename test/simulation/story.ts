import { unpackSlices } from '@winnow/model'
/** What a record of `evidence`, `decisions` or `control` says, on one line. */
export function tellRecord(offset: number, value: Uint8Array): string {
  try {
    const record: Told = unpackSlices(JSON.parse(Buffer.from(value).toString()))
    return `@${offset} ${tell(record)}`
  } catch {
    return `@${offset} ${value.length} bytes`
  }
}

interface Told {
  readonly kind?: string
  readonly tenant?: string
  readonly traceId?: string
  readonly by?: string
  readonly id?: string
  readonly reason?: string
  readonly revision?: number
  readonly verdict?: string
  readonly primary?: string
  readonly claim?: number
  readonly seq?: number
  readonly prev?: number | null
  readonly write?: readonly number[]
  readonly slices?: readonly { readonly ref: { readonly offset: number; readonly start: number } }[]
}

function tell(record: Told): string {
  const { kind, tenant, traceId = '' } = record
  const trace = `${tenant}/${shortId(traceId)}`
  const refs = (record.slices ?? []).map(({ ref }) => `${ref.offset}:${ref.start}`).join(' ')
  switch (kind) {
    case 'claim':
      return `claim by ${record.by}`
    case 'summary':
      return `summary ${trace} ${record.reason} {${refs}}`
    case 'evaluation':
    case 'retraction':
    case 'request':
      return `${kind} ${trace} ${record.id?.split('.').at(-1)}`
    case 'decision': {
      const { revision, verdict, primary, claim, seq, write, prev } = record
      const chain = prev === null || prev === undefined ? '' : ` prev ${prev}`
      return `decision ${trace} r${revision} ${verdict} (${primary}) claim ${claim} seq ${seq} {${refs}} write [${write}]${chain}`
    }
    default:
      return String(kind)
  }
}

/** The last digits of a trace id tell traces of one run apart. */
export function shortId(traceId: string): string {
  return traceId.slice(0, 6)
}
