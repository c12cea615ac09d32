// Hot: once a trace.
import { SlicePacker, writtenVersion } from '@winnow/model'
import { FactsUnpacker } from './packed-facts.ts'
import type { ClosedTrace, PartitionFold } from './partition-fold.ts'

const packer = new SlicePacker()
const unpacker = new FactsUnpacker()

/** The summary of a closed trace of a fold as the JSON of the `evidence` topic: its slices packed, and last. */
export function summaryJson(partition: number, fold: PartitionFold, closed: ClosedTrace): string {
  const { trace, reason, closedAtMs, missingParents } = closed
  let slices = ''
  const { bytes, heads } = fold.slicesOf(trace)
  while (heads.next()) {
    const { offset, start, length, spanCount, appendedAtMs, factsFrom, factsTo } = heads
    const shared = unpacker.shared(bytes, factsFrom)
    packer.begin(partition, offset, start, length, spanCount, appendedAtMs, shared)
    unpacker.repack(bytes, factsFrom, factsTo, spanCount, packer)
    slices += slices === '' ? `"${packer.finish()}"` : `,"${packer.finish()}"`
  }
  return (
    `{"v":${writtenVersion('evidence')},"kind":"summary","tenant":${JSON.stringify(trace.tenant)},"traceId":"${trace.traceId}",` +
    `"reason":"${reason}","missingParents":${missingParents},"closedAtMs":${closedAtMs},` +
    `"slices":[${slices}]}`
  )
}
