import { FileBus } from '@winnow/bus'
import { type StageClock, systemClock } from '@winnow/runtime'
import { defaultHotLife, type HotStore, type S3BlobStore } from '@winnow/storage'
import { OtlpClient, trace48f } from '@winnow/testing'
import { expect, vi } from 'vitest'
import { AgeAudit } from '../../services/winnow/src/audit/age.ts'
import { keyOf, PipelineHarness } from '../support/pipeline-harness.ts'
import { openTestStore } from './opensearch/store.ts'
import { openS3Store } from './s3/store.ts'
import type { TestS3 } from './s3.ts'

const dayMs = 86_400_000

/** For what a pipeline on real servers does by itself once the clock has moved. */
export const agedWaits = { timeout: 90_000, interval: 500 }

/** The wall clock, as a test likes it. */
export class ShiftedClock implements StageClock {
  shiftMs = 0
  nowMs(): number {
    return systemClock.nowMs() + this.shiftMs
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
}

export interface AgedPipeline {
  readonly clock: ShiftedClock
  readonly hot: HotStore
  readonly blobs: S3BlobStore
  readonly harness: PipelineHarness
}

/** A pipeline on OpenSearch and S3 whose log lies in files, so that the clock of all of it can be moved. */
export async function startAged(
  url: string,
  s3: TestS3,
  indexPrefix: string,
): Promise<AgedPipeline> {
  const clock = new ShiftedClock()
  const hot = await openTestStore(url, { indexPrefix, clock })
  const blobs = await openS3Store(s3)
  const harness = await PipelineHarness.start({
    clock,
    openBus: (specs, folder) => FileBus.open({ folder, specs, clock }),
    stores: async () => ({ hot, blobs }),
    assembler: { quiet: '800ms', rootless: '2s', openMax: '5s', clockSlack: '200ms' },
    segmentAge: '1s',
    expireEvery: '1s',
    partitions: 1,
  })
  return { clock, hot, blobs, harness }
}

export async function send48f({ harness }: AgedPipeline, tenant: string): Promise<void> {
  const client = new OtlpClient({
    transport: 'grpc',
    address: harness.addresses.otlpGrpc,
    apiKey: keyOf(tenant),
  })
  const { acknowledged } = await client.sendTraces(trace48f({ startMs: systemClock.nowMs() }))
  client.close()
  expect(acknowledged).toBe(true)
}

/** Waits until no tier has anything that is older than it may be. */
export async function expectNothingOverdue({ clock, hot, blobs }: AgedPipeline): Promise<void> {
  await vi.waitFor(async () => {
    const audit = new AgeAudit({
      hotLife: defaultHotLife,
      livesMs: { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs },
      nowMs: clock.nowMs(),
      graceMs: 0,
    })
    await audit.hot(hot)
    await audit.blobs(blobs)
    expect(audit.report()).toMatchObject({ agrees: true, findings: [] })
  }, agedWaits)
}
