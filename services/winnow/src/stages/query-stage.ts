import { Query } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { openBlobStore, openHotStore } from '../open-stores.ts'
import { blobProbe } from '../probe.ts'
import type { Stage, StageContext } from './stage.ts'

export async function queryStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, keys, tls, log, metrics, health, pending } = context
  const hot = await openHotStore(config, { mayWrite: false, log, metrics, health })
  const blobs = await openBlobStore(config, { mayWrite: false, log, metrics })
  const blobsAnswer = blobProbe(blobs, { optional: true })
  health.register('blobs', () => blobsAnswer.read())
  const query = new Query({
    bus,
    topics,
    hot,
    blobs,
    listen: config.api,
    keys,
    tls,
    config: config.query,
    spansRetentionMs: config.retention.spans,
    clock: systemClock,
    log,
    metrics,
    health,
    ...(pending !== undefined && {
      pending: async (tenant: string, traceId: string) => pending(tenant, traceId),
    }),
  })
  return {
    component: query,
    addresses: () => ({ api: query.address }),
    close: async () => {
      await hot.close()
      await blobs.close()
    },
  }
}
