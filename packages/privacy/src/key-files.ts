import { createHash } from 'node:crypto'
import { PipelineError } from '@winnow/runtime'

/** Longest encoded tenant used as a file name; a longer one is named by its SHA-256 after a `~`. */
export const keyNameLengthMax = 200

/**
 * Lower-case letters, digits, `-` and `_` stand for themselves, any other byte as `%` and two digits:
 * two tenants never share a file, also where the file system ignores case, and none names a folder.
 */
export function keyName(tenant: string): string {
  let name = ''
  for (const byte of Buffer.from(tenant)) {
    const letter = String.fromCharCode(byte)
    name += /[a-z0-9_-]/.test(letter)
      ? letter
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (name.length <= keyNameLengthMax) return name
  return `~${createHash('sha256').update(tenant).digest('hex')}`
}

export function unlessCode(code: string): (error: unknown) => undefined {
  return error => {
    if ((error as NodeJS.ErrnoException).code !== code) throw error
  }
}

/** Told of a key file that is used although it is not as it should be. */
export type OnKeyWarning = (warning: string) => void

/**
 * What everybody may read is refused. What its group may read is used, with a warning: Kubernetes gives every file
 * of a volume with an `fsGroup` the mode 0660 at each mount, and no chmod outlasts that.
 */
export function checkKeyMode(path: string, mode: number, onWarning?: OnKeyWarning): void {
  const shown = (mode & 0o777).toString(8)
  if ((mode & 0o007) !== 0) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${path} has mode ${shown}: others may have read it; chmod 600 it`,
    )
  }
  if ((mode & 0o070) !== 0) {
    onWarning?.(
      `${path} has mode ${shown}: its group may read it; chmod 600 it where no fsGroup needs that`,
    )
  }
}
