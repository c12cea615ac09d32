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
