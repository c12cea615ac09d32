import { PipelineError } from '@winnow/runtime'

/** The system's own word for what went wrong (`ENOENT`), where it has one. */
export function systemCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}

/** An error of the file system as ours; one that is ours already is passed on. */
export function storeError(what: string, error: unknown): PipelineError {
  if (error instanceof PipelineError) return error
  const code = systemCode(error)
  const why = code === undefined ? '' : ` (${code})`
  const remedy = code === 'ENOSPC' ? ': the disk is full, free some space' : ''
  return new PipelineError('STORE_UNAVAILABLE', `${what} failed${why}${remedy}`, { cause: error })
}
