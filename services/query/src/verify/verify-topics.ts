import { randomInt } from 'node:crypto'
import type { Bus } from '@winnow/bus'
import { type LedgerReport, ReportBuilder } from './ledger-report.ts'
import { PartitionVerifier } from './partition-verifier.ts'
import { TenantSums } from './tenant-sums.ts'

export interface VerifyTopicsOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string; readonly decisions: string }
  readonly groups?: { readonly assembler: string; readonly sampler: string }
  /** Undefined: all of them. */
  readonly tenant?: string
  /** Slices that one partition may hold in the window; over it QUOTA_EXCEEDED. */
  readonly slicesMax: number
  /** After every read: records of `spans` done, of all there were at the start. */
  readonly onProgress?: (done: number, of: number) => void
}

/** As the stages join them. */
export const stageGroups = { assembler: 'assembler', sampler: 'sampler' } as const

/**
 * Reads all that is retained, one partition after the other so that memory holds one at a time, and
 * says whether it balances. Nothing but the topics and the groups' positions is asked.
 */
export async function verifyTopics(options: VerifyTopicsOptions): Promise<LedgerReport> {
  const { bus, topics, onProgress } = options
  const partitions = await bus.partitionCount(topics.spans)
  let of = 0
  let done = 0
  for (let partition = 0; partition < partitions; partition++) {
    const { first, end } = await bus.bounds(topics.spans, partition)
    of += end - first
  }
  const tenants = new TenantSums()
  const builder = new ReportBuilder(tenants, options.tenant)
  for (let partition = 0; partition < partitions; partition++) {
    const verifier = new PartitionVerifier(
      {
        bus,
        topics,
        groups: options.groups ?? stageGroups,
        tenants,
        slicesMax: options.slicesMax,
        overMax: 'refuse',
        reads: 'all',
        seed: randomInt(2 ** 32),
      },
      partition,
    )
    await verifier.advance(records => {
      done += records
      onProgress?.(done, of)
    })
    await builder.add({ verifier, undecided: await verifier.settle() }, bus, topics.spans)
  }
  return builder.build(true)
}
