import { PipelineError } from '@winnow/runtime'

/** Refuses formats newer than 1 by name. */
export function checkFormat(format: unknown, what: string): void {
  if (typeof format !== 'number' || format <= 1) return
  throw new PipelineError(
    'DATA_CORRUPT',
    `${what} has format ${format}; this release reads format 1: upgrade the samplers first`,
  )
}
