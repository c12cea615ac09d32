import { join } from 'node:path'
import { Query } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { SqliteHotStore } from '@winnow/storage'
import { runStage } from './run-stage.ts'

runStage(async context => {
  const { config, topics, keys, bus, log, health, pending } = context
  const hot = new SqliteHotStore(join(config.data, 'hot'))
  const query = new Query({
    bus,
    topics,
    hot,
    listen: config.api,
    keys,
    config: config.query,
    spansRetentionMs: config.retention.spans,
    clock: systemClock,
    log,
    health,
    pending,
  })
  return { component: query, address: () => query.address, close: () => hot.close() }
})
