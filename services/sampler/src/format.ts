import { type FormatName, isNewerVersion, readVersions } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'

/** Refuses a newer version of a format by name. */
export function checkFormat(name: FormatName, v: unknown, what: string): void {
  if (!isNewerVersion(name, v)) return
  throw new PipelineError(
    'DATA_CORRUPT',
    `${what} has format ${v}; this release reads format ${readVersions(name)}: upgrade the samplers, or have the newer release write as before (formats: previous)`,
  )
}
