type Column = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float64Array

/** A longer column with the same beginning; the rest is zero. */
export function grown<T extends Column>(column: T, capacity: number): T {
  const longer = new (column.constructor as new (length: number) => T)(capacity)
  longer.set(column)
  return longer
}
