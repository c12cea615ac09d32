import { PipelineError } from '@winnow/runtime'

/**
 * In bytes of UTF-8. S3 allows 1,024 with whatever stands before the key in its bucket; file systems
 * allow a name 255, and servers that keep files below add up to 37 while they write one.
 */
export const blobKeyBytesMax = 768
export const blobNameBytesMax = 200

/** What an object's name ends in, and a folder's never: so no key can be another key's folder. */
const suffix = /\.[a-z][a-z0-9]{0,15}$/

/**
 * Throws CONFIG_INVALID for a key that some store could not hold, would read as another path or would
 * list at another place: the same rule for every adapter, so that a key that passed in memory passes
 * everywhere. Names that begin with a dot are the adapters' own.
 */
export function checkBlobKey(key: string): void {
  const problem = problemOf(key)
  if (problem === undefined) return
  const shown = JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key)
  throw new PipelineError('CONFIG_INVALID', `key ${shown} ${problem}`)
}

/** Whether an object of this name may be one of ours. A list passes over every other. */
export function isBlobKey(key: string): boolean {
  return problemOf(key) === undefined
}

/** Whether a key may begin so. No store is asked for what cannot be: some would take `../` as a path. */
export function mayBeginBlobKey(prefix: string): boolean {
  const folders = prefix.split('/')
  const last = folders.pop() ?? ''
  return (
    Buffer.byteLength(prefix) <= blobKeyBytesMax &&
    problemOfText(prefix) === undefined &&
    !last.startsWith('.') &&
    Buffer.byteLength(last) <= blobNameBytesMax &&
    folders.every(name => problemOfFolder(name) === undefined)
  )
}

function problemOf(key: string): string | undefined {
  if (key === '') return 'is empty'
  const bytes = Buffer.byteLength(key)
  if (bytes > blobKeyBytesMax) return `has ${bytes} bytes, at most ${blobKeyBytesMax} are allowed`
  const problem = problemOfText(key)
  if (problem !== undefined) return problem
  const folders = key.split('/')
  const name = folders.pop() ?? ''
  for (const folder of folders) {
    const found = problemOfFolder(folder)
    if (found !== undefined) return found
  }
  if (suffix.test(name)) return problemOfName(name)
  return problemOfName(name) ?? `has the name ${name}, which lacks a suffix such as .parquet`
}

function problemOfText(text: string): string | undefined {
  if (!text.isWellFormed()) return 'has half a surrogate pair; send valid Unicode'
  // Java's stores sort by UTF-16: only up to here is it the order of UTF-8.
  if (/[\u{10000}-\u{10ffff}]/u.test(text)) return 'has a character beyond U+FFFF; leave it out'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\x00-\x1f\x7f\\]/.test(text)) return 'has a control character or backslash; leave it out'
  return undefined
}

function problemOfFolder(name: string): string | undefined {
  if (!suffix.test(name)) return problemOfName(name)
  return `has the folder ${name}, which ends in a suffix as only objects do`
}

function problemOfName(name: string): string | undefined {
  if (name === '') return 'has an empty name between slashes; remove the spare slash'
  if (name.startsWith('.')) return `has the name ${name}; names must not begin with a dot`
  const bytes = Buffer.byteLength(name)
  if (bytes <= blobNameBytesMax) return undefined
  return `has a name of ${bytes} bytes, at most ${blobNameBytesMax} are allowed`
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
