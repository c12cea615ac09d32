/**
 * What rules may ask of single spans. A column is an attribute by its key, of the span or else of its
 * resource, or one of the span's own fields, whose names begin with a colon.
 */
export const ownColumn = {
  name: ':name',
  /** `internal`, `server`, `client`, `producer`, `consumer`, or `unspecified`. */
  kind: ':kind',
  /** `UNSET`, `OK` or `ERROR`. */
  status: ':status',
  /** 0 when the end lies before the start. */
  durationMs: ':durationMs',
  /** The flag of the trace context: true or false. */
  sampled: ':sampled',
  /** The model that was asked for and the one that answered, under whichever of their names. */
  requestModel: ':requestModel',
  responseModel: ':responseModel',
  /** Followed by a key of the trace state: its value. */
  statePrefix: ':state:',
} as const

/** Columns that the rules of one policy ask for, and the bytes of one name in UTF-8. */
export const columnsMax = 32
export const columnBytesMax = 128

/** Distinct rows of one slice, and their bytes as JSON. A quarter of both is kept for the rows of roots. */
export const rowsMax = 64
export const rowsBytesMax = 8 * 1024

/** Why no rule can ask for it; undefined where it can. */
export function columnMistake(column: string): string | undefined {
  const bytes = Buffer.byteLength(column)
  if (bytes === 0) return 'is empty'
  if (bytes > columnBytesMax) return `has ${bytes} bytes, more than ${columnBytesMax}`
  if (hasControl(column)) return 'has a control character'
  if (column.endsWith('*')) return 'ends with a star, and every attribute has a name of its own'
  const isOwn = column.startsWith(':')
  if (isOwn && !isOwnColumn(column)) return 'begins with a colon, as no attribute may'
  return undefined
}

/** Such a one takes six bytes in JSON. */
function hasControl(column: string): boolean {
  for (let at = 0; at < column.length; at++) if (column.charCodeAt(at) < 0x20) return true
  return false
}

function isOwnColumn(column: string): boolean {
  const { statePrefix, ...fields } = ownColumn
  return column.startsWith(statePrefix) || (Object.values(fields) as string[]).includes(column)
}
