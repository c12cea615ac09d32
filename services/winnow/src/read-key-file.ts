import { readFileSync } from 'node:fs'
import { PipelineError } from '@winnow/runtime'

/** The text of a file that a key names. CONFIG_INVALID names both where it cannot be read. */
export function readKeyFile(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('CONFIG_INVALID', `${key}: cannot read ${path}`, { cause })
  }
}
