import type { ClosedTrace } from './partition-fold.ts'

/**
 * The summary of a closed trace as the JSON of the `evidence` topic. Concatenated: the facts are JSON
 * already, and building objects only to write them again was half of this stage's cost.
 */
export function summaryJson(partition: number, closed: ClosedTrace): string {
  const { trace, reason, closedAtMs } = closed
  let slices = ''
  for (const slice of trace.slices) {
    const ref =
      `{"partition":${partition},"offset":${slice.offset},"start":${slice.start},` +
      `"length":${slice.length},"spanCount":${slice.spanCount}}`
    const comma = slices === '' ? '' : ','
    slices += `${comma}{"ref":${ref},"appendedAtMs":${slice.appendedAtMs},"facts":${slice.facts}}`
  }
  return (
    `{"v":1,"kind":"summary","tenant":${JSON.stringify(trace.tenant)},"traceId":"${trace.traceId}",` +
    `"reason":"${reason}","missingParents":${trace.missingParents(reason)},"closedAtMs":${closedAtMs},` +
    `"slices":[${slices}]}`
  )
}
