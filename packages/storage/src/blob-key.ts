import { PipelineError } from '@winnow/runtime'

/** What S3 allows a key, and what file systems allow one name in a path; in bytes of UTF-8. */
export const blobKeyBytesMax = 1_024
export const blobNameBytesMax = 255

/**
 * Throws CONFIG_INVALID for a key that some store could not hold or would read as another path: the
 * same rule for every adapter, so that a key that passed in memory passes on disk. Names that begin
 * with a dot are the adapters' own.
 */
export function checkBlobKey(key: string): void {
  const problem = problemOf(key)
  if (problem === undefined) return
  const shown = JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key)
  throw new PipelineError('CONFIG_INVALID', `key ${shown} ${problem}`)
}

function problemOf(key: string): string | undefined {
  if (key === '') return 'is empty'
  if (!key.isWellFormed()) return 'has half a surrogate pair; send valid Unicode'
  const bytes = Buffer.byteLength(key)
  if (bytes > blobKeyBytesMax) return `has ${bytes} bytes, at most ${blobKeyBytesMax} are allowed`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\x00-\x1f\x7f\\]/.test(key)) return 'has a control character or backslash; leave it out'
  for (const name of key.split('/')) {
    if (name === '') return 'has an empty name between slashes; remove the spare slash'
    if (name.startsWith('.')) return `has the name ${name}; names must not begin with a dot`
    const nameBytes = Buffer.byteLength(name)
    if (nameBytes > blobNameBytesMax) {
      return `has a name of ${nameBytes} bytes, at most ${blobNameBytesMax} are allowed`
    }
  }
  return undefined
}

/** The range that `read` answers for an object of `bytes`, as [start, end). */
export function blobRange(
  bytes: number,
  start: number,
  length: number,
): { readonly start: number; readonly end: number } {
  if (!Number.isSafeInteger(start)) {
    throw new PipelineError('CONFIG_INVALID', `start ${start} is no whole number of bytes`)
  }
  if (length !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(length) && length >= 0)) {
    throw new PipelineError('CONFIG_INVALID', `length ${length} is no number of bytes`)
  }
  const from = Math.min(bytes, start < 0 ? Math.max(0, bytes + start) : start)
  return { start: from, end: Math.min(bytes, from + length) }
}

/** UTF-8 byte order is code point order, which JavaScript's `<` is not beyond U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at)
    const right = b.charCodeAt(at)
    if (left === right) continue
    return isSurrogate(left) === isSurrogate(right)
      ? left - right
      : Number(isSurrogate(left)) - Number(isSurrogate(right))
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
