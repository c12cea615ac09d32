import { FactsUnpacker } from './packed-facts.ts'
import type { ClosedTrace, PartitionFold } from './partition-fold.ts'

const unpacker = new FactsUnpacker()

/**
 * The summary of a closed trace of a fold as the JSON of the `evidence` topic. Concatenated: building
 * objects only to write them again was half of this stage's cost.
 */
export function summaryJson(partition: number, fold: PartitionFold, closed: ClosedTrace): string {
  const { trace, reason, closedAtMs, missingParents } = closed
  let slices = ''
  const { bytes, heads } = fold.slicesOf(trace)
  while (heads.next()) {
    const { offset, start, length, spanCount, appendedAtMs, factsFrom, factsTo } = heads
    const comma = slices === '' ? '' : ','
    const facts = unpacker.json(bytes, factsFrom, factsTo, spanCount)
    slices +=
      `${comma}{"ref":{"partition":${partition},"offset":${offset},"start":${start},` +
      `"length":${length},"spanCount":${spanCount}},"appendedAtMs":${appendedAtMs},"facts":${facts}}`
  }
  return (
    `{"v":1,"kind":"summary","tenant":${JSON.stringify(trace.tenant)},"traceId":"${trace.traceId}",` +
    `"reason":"${reason}","missingParents":${missingParents},"closedAtMs":${closedAtMs},` +
    `"slices":[${slices}]}`
  )
}
