import type { PackedSlice } from '@winnow/model'

/** What a slice takes of `slicesBytesMax`, as JSON with its comma: base64 is ASCII. */
export function sliceBytes({ text }: PackedSlice): number {
  return text.length + 3
}

export function slicesBytes(slices: readonly PackedSlice[]): number {
  let bytes = 0
  for (let at = 0; at < slices.length; at++) bytes += sliceBytes(slices[at] as PackedSlice)
  return bytes
}
