import { Query } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { PolicyDesk } from '@winnow/sampler'
import { openBlobStore, openHotStore, openTraceBuffer } from '../open-stores.ts'
import { blobProbe } from '../probe.ts'
import type { FindPending, Stage, StageContext } from './stage.ts'

export async function queryStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, keys, tls, log, metrics, health } = context
  const hot = await openHotStore(config, { mayWrite: false, log, metrics, health })
  const blobs = await openBlobStore(config, { mayWrite: false, log, metrics })
  const blobsAnswer = blobProbe(blobs, { optional: true })
  health.register('blobs', () => blobsAnswer.read())
  const { pending, close } = await whoKnowsPending(context)
  const query = new Query({
    bus,
    topics,
    hot,
    blobs,
    listen: config.api,
    keys,
    tls,
    outcomes: config.outcomes,
    config: config.query,
    spansRetentionMs: config.retention.spans,
    clock: systemClock,
    log,
    metrics,
    health,
    policies: new PolicyDesk({ bus, control: topics.control, clock: systemClock }),
    ...(pending !== undefined && {
      pending: async (tenant: string, traceId: string) => pending(tenant, traceId),
    }),
  })
  return {
    component: query,
    addresses: () => ({ api: query.address }),
    close: async () => {
      await close()
      await hot.close()
      await blobs.close()
    },
  }
}

/** The assembler of this process, else the checkpoints that others leave in the trace buffer, else nobody. */
async function whoKnowsPending(
  context: StageContext,
): Promise<{ readonly pending?: FindPending; readonly close: () => Promise<void> }> {
  const { config, bus, topics, pending } = context
  if (pending !== undefined) return { pending, close: async () => {} }
  const buffer = await openTraceBuffer(config, 'query', context)
  if (buffer === undefined) return { close: async () => {} }
  const { PendingInBuffer } = await import('../pending-in-buffer.ts')
  const checkpoints = new PendingInBuffer({
    buffer,
    bus,
    topic: topics.spans,
    group: 'assembler',
    everyMs: config.assembler.checkpointEvery,
    clock: systemClock,
  })
  return {
    pending: (tenant, traceId) => checkpoints.find(tenant, traceId),
    close: () => buffer.close(),
  }
}
