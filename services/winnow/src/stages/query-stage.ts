import { join } from 'node:path'
import { Query } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { FileBlobStore, SqliteHotStore } from '@winnow/storage'
import { makeFolder } from '../make-folder.ts'
import type { Stage, StageContext } from './stage.ts'

export function queryStage(context: StageContext): Stage {
  const { config, bus, topics, keys, log, metrics, health, pending } = context
  makeFolder(config.data)
  const hot = new SqliteHotStore(join(config.data, 'hot'))
  const query = new Query({
    bus,
    topics,
    hot,
    blobs: FileBlobStore.existing(join(config.data, 'blobs')),
    listen: config.api,
    keys,
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
    close: () => hot.close(),
  }
}
