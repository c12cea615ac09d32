import { readFileSync } from 'node:fs'
import { PipelineError } from '@winnow/runtime'

/** The text of a file that a key names. CONFIG_INVALID names both where it cannot be read. */
function readKeyFile(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('CONFIG_INVALID', `${key}: cannot read ${path}`, { cause })
  }
}

/** PEM texts of the files that a section's `caFile`, `certFile` and `keyFile` name. */
export function readTlsFiles(
  section: string,
  { caFile, certFile, keyFile }: TlsFileKeys,
): { readonly ca?: string; readonly cert?: string; readonly key?: string } {
  return {
    ...(caFile !== undefined && { ca: readKeyFile(`${section}.caFile`, caFile) }),
    ...(certFile !== undefined && { cert: readKeyFile(`${section}.certFile`, certFile) }),
    ...(keyFile !== undefined && { key: readKeyFile(`${section}.keyFile`, keyFile) }),
  }
}

interface TlsFileKeys {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}
