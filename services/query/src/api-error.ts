import type { Scope } from '@winnow/runtime'

/** What a caller did that cannot be served: the body of every error answer of the API. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string
  readonly remedy: string
  readonly field: string | undefined
  readonly value: string | undefined

  constructor(
    status: number,
    code: string,
    remedy: string,
    where: { readonly field?: string; readonly value?: string } = {},
  ) {
    super(`${code}: ${remedy}`)
    this.status = status
    this.code = code
    this.remedy = remedy
    this.field = where.field
    // A value is shown so that the caller finds it, never so long that it fills a log.
    this.value = where.value?.slice(0, 200)
  }

  body(): { readonly error: Readonly<Record<string, string>> } {
    const { code, remedy, field, value } = this
    return {
      error: {
        code,
        ...(field !== undefined && { field }),
        ...(value !== undefined && { value }),
        remedy,
      },
    }
  }
}

export function unauthenticated(remedy: string): ApiError {
  return new ApiError(401, 'UNAUTHENTICATED', remedy)
}

/** Says which scope, and nothing of what was asked for: whether it exists is not the caller's to know. */
export function scopeMissing(scope: Scope): ApiError {
  return new ApiError(403, 'PERMISSION_DENIED', 'this key lacks the scope; use one that has it', {
    field: 'scope',
    value: scope,
  })
}
