import { type NewRecord, partitionOfHex } from '@winnow/bus'
import {
  evaluationError,
  evaluationStatus,
  evaluationsAccepted,
  evaluationsFrom,
} from '@winnow/model'
import { appendEvidence } from './append-evidence.ts'
import type { Answer, Reader, RouteDeps } from './routes.ts'

/** Accepts outcomes and retractions: 202 once all of them are durable in `evidence`, or nothing of the request. */
export async function postEvaluations(
  deps: Pick<RouteDeps, 'bus' | 'evidence' | 'outcomes'>,
  { tenant, source }: Pick<Reader, 'tenant' | 'source'>,
  body: unknown,
): Promise<Answer> {
  const input = evaluationsFrom(tenant, body, { source, outcomes: deps.outcomes })
  if (input.kind === 'mistakes') {
    return { status: evaluationStatus(input.mistakes), body: evaluationError(input.mistakes) }
  }
  const count = await deps.bus.partitionCount(deps.evidence)
  const byPartition = new Map<number, NewRecord[]>()
  for (const record of input.records) {
    const partition = partitionOfHex(record.traceId, count)
    const records = byPartition.get(partition) ?? []
    byPartition.set(partition, records)
    records.push({ value: Buffer.from(JSON.stringify(record)) })
  }
  await appendEvidence(deps, byPartition)
  return { status: 202, body: evaluationsAccepted(input.records) }
}
