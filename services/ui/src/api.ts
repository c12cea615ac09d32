import type { CostAnswer, CostRows } from '@winnow/cost'
import type { CostPlace } from './links.ts'

/** What came of a question: what was asked for, or what a reader can do about it. */
export type Asked<T> = { readonly kind: 'answer'; readonly body: T } | Unanswered

export type Unanswered =
  | { readonly kind: 'loading' }
  /** 401: a key is needed, or another one. */
  | { readonly kind: 'key'; readonly remedy: string }
  /** 403: the key may not see this. */
  | { readonly kind: 'scope'; readonly remedy: string }
  | { readonly kind: 'refused'; readonly code: string; readonly remedy: string }
  | { readonly kind: 'failed'; readonly code: string; readonly remedy: string }
  | { readonly kind: 'gone'; readonly remedy: string }

/** How long a question is waited for: reading a year of the ledger takes minutes. */
const answerWaitMs = 180_000

/** Within the page's own server, whatever path a proxy puts before it. */
export function apiUrl(path: string, page: string): string {
  return new URL(`../api/v1/${path}`, page).href
}

export function costPath({ days, isAll }: CostPlace): string {
  const by = `rule,service,variant,root${isAll ? ',tenant' : ''}`
  return `cost?days=${days}&by=${by}&compare=true&daily=true${isAll ? '&tenants=all' : ''}`
}

export function rowsPath(asked: URLSearchParams, limit: number): string {
  const query = new URLSearchParams(asked)
  query.set('limit', String(limit))
  return `cost/rows?${query}`
}

export type CostAsked = Asked<CostAnswer>
export type RowsAnswered = Asked<CostRows>

export async function ask<T>(
  path: string,
  key: string | undefined,
  signal: AbortSignal,
): Promise<Asked<T>> {
  let response: Response
  let body: unknown
  try {
    response = await fetch(apiUrl(path, document.baseURI), {
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      // A browser would ask for a name and a password itself.
      credentials: 'omit',
      cache: 'no-store',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWaitMs)]),
    })
    body = await response.json()
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError'
    return {
      kind: 'gone',
      remedy: isLate
        ? `There was no answer within ${answerWaitMs / 60_000} minutes: ask for fewer days.`
        : 'Winnow does not answer. Is it running? winnow doctor says what is wrong; then try again.',
    }
  }
  return judged<T>(response.status, body)
}

/** What a status and a body mean to a reader. Pure. */
export function judged<T>(status: number, body: unknown): Asked<T> {
  if (status === 200) return { kind: 'answer', body: body as T }
  const { code, remedy, field, value } =
    (body as { error?: Readonly<Record<string, string>> } | null)?.error ?? {}
  const said = remedy ?? `status ${status}, without a reason: is this address Winnow’s?`
  const where = [field, value && `"${value}"`].filter(one => one !== undefined).join(' ')
  if (status === 401) return { kind: 'key', remedy: said }
  if (status === 403) return { kind: 'scope', remedy: `${said} (${where})` }
  const told = { code: code ?? `HTTP ${status}`, remedy: where === '' ? said : `${where}: ${said}` }
  return status >= 500 ? { kind: 'failed', ...told } : { kind: 'refused', ...told }
}
