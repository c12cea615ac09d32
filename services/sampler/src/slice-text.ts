import type { Slice } from '@winnow/model'

/**
 * Slices by (offset, start) with their JSON between the brackets, where it is known: a decision repeats
 * the text that its evidence or the decision before it was parsed from, which costs a third less than
 * writing it again.
 */
export interface SliceTexts {
  readonly slices: readonly Slice[]
  readonly text: string | undefined
}

/** A known text, or one made now. */
export function textOf({ slices, text }: SliceTexts): string {
  return text ?? slices.map(slice => JSON.stringify(slice)).join(',')
}

/** What slices take of `slicesBytesMax`: UTF-8 JSON, with a comma for each. */
export function slicesBytes(list: SliceTexts): number {
  return list.slices.length === 0 ? 0 : Buffer.byteLength(textOf(list)) + 1
}

export function sliceBytes(slice: Slice): number {
  return Buffer.byteLength(JSON.stringify(slice)) + 1
}
