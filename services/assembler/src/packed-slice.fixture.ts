import { blockFlag, type PackedSlice, packedSlices, SlicePacker } from '@winnow/model'
import { FactsPacker, FactsUnpacker, spanIdWords } from './packed-facts.ts'
import type { ReadSlice } from './partition-fold.ts'
import type { RecordSlice } from './read-slices.ts'
import { wordsOfTrace } from './trace-key.ts'

/** A span by its id, its parent's id (0: none) and whether it is an entry span. */
export type SpanIds = readonly [id: number, parent: number, entry?: boolean]

/** A slice of such spans, as if it had been read from a record; `text` is the JSON of its own facts. */
export function packedSlice(
  spans: readonly SpanIds[],
  place: Pick<ReadSlice, 'tenant' | 'start' | 'length'> & { readonly traceId: string },
  text = '',
): RecordSlice {
  const packer = new FactsPacker()
  packer.begin(spans.length, 0, 0)
  let hasRoot = false
  let hasEntry = false
  for (const [id, parent, entry = false] of spans) {
    const isEntry = entry && parent !== 0
    hasRoot ||= parent === 0
    hasEntry ||= isEntry
    const flags = (parent === 0 ? blockFlag.root : 0) | (isEntry ? blockFlag.entry : 0)
    packer.addSpan(flags, 7, id, parent && 7, parent, 0, 0, 0, 0, 0)
  }
  const facts = Buffer.from(packer.finish(0, 0, 0, text))
  const jsonLength = 90 + 48 * spans.length + text.length
  const { tenant, traceId, start, length } = place
  const key = { tenant, traceId, ...wordsOfTrace(traceId) }
  return { ...key, start, length, spanCount: spans.length, facts, jsonLength, hasRoot, hasEntry }
}

/** The slice as a summary has it, of the first place there is. */
export function summarised({
  facts,
  spanCount,
}: Pick<ReadSlice, 'facts' | 'spanCount'>): PackedSlice {
  const [packer, unpacker, bytes] = [new SlicePacker(), new FactsUnpacker(), Buffer.from(facts)]
  packer.begin(0, 0, 0, 0, spanCount, 0, unpacker.shared(bytes, 0))
  unpacker.repack(bytes, 0, bytes.length, spanCount, packer)
  const [slice] = packedSlices(`"${packer.finish()}"`) ?? []
  if (slice === undefined) throw new Error('a summary would have no such slice')
  return slice
}

/** The ids of a slice's spans, {@link spanIdWords} words each. */
export function idsOf({ facts, spanCount }: Pick<ReadSlice, 'facts' | 'spanCount'>): number[] {
  const words = new Uint32Array(spanCount * spanIdWords)
  new FactsUnpacker().ids(Buffer.from(facts), 0, spanCount, words, 0)
  return [...words]
}
