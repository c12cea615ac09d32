import { coldKeyCheck, redactJson, redactNamesInJson } from '@winnow/privacy'
import { Query } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { PolicyDesk } from '@winnow/sampler'
import { pageFolder } from '@winnow/ui'
import { ErasureDesk, Erasures } from '@winnow/writer'
import { namesOf } from '../config/names-config.ts'
import { coldHashersOf, redactorsOf } from '../config/privacy-config.ts'
import { costSettings } from '../cost/cost-settings.ts'
import { redactText } from '../erase/redact-text.ts'
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
  const redactors = redactorsOf(config, log)
  const names = namesOf(config, { metrics, log })
  if (redactors !== undefined)
    health.register('redaction', async () => ({ ...(await redactors.health()), ready: true }))
  const shared = { bus, control: topics.control, clock: systemClock }
  const erasures = new Erasures({ ...shared, log })
  // The writers' keys: what is looked for in cold is what they have put there.
  const hashers = coldHashersOf(config, log, { isWriter: false })
  const redact = redactText(config)
  const query = new Query({
    bus,
    topics,
    hot,
    blobs,
    listen: config.api,
    keys,
    tls,
    outcomes: config.outcomes,
    ...(redactors !== undefined && {
      redact: async (tenant: string, body: unknown) => {
        const redactor = await redactors.of(tenant)
        if (redactor === undefined) return body
        const redacted = redactJson(redactor, body, () => {})
        const own = names?.of(tenant)
        return own === undefined ? redacted : redactNamesInJson(own, redactor, redacted)
      },
    }),
    config: config.query,
    spansRetentionMs: config.retention.spans,
    livesMs: { warm: config.writer.warmLife, cold: config.writer.coldLife },
    clock: systemClock,
    log,
    metrics,
    health,
    policies: new PolicyDesk(shared),
    coldKeys: async tenant => (await hashers.all(tenant).catch(() => undefined))?.map(coldKeyCheck),
    costs: costSettings(config),
    pageFolder,
    erasures: new ErasureDesk({ ...shared, hashers, erasures, ...(redact && { redact }) }),
    ...(pending !== undefined && {
      pending: async (tenant: string, traceId: string) => pending(tenant, traceId),
    }),
  })
  const following = followed(erasures)
  return {
    component: {
      start: async () => {
        await following.begin()
        await query.start()
      },
      stop: async () => {
        await query.stop()
        await following.end()
      },
    },
    failed: following.failed,
    addresses: () => ({ api: query.address }),
    close: async () => {
      names?.close()
      await close()
      await hot.close()
      await blobs.close()
    },
  }
}

/** Nothing is answered before it is known what is erased. */
function followed(erasures: Erasures) {
  const ended = new AbortController()
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {})
  let following: Promise<void> | undefined
  return {
    failed: failure.promise,
    begin: async (): Promise<void> => {
      following = erasures.follow(ended.signal).catch(failure.reject)
      await Promise.race([erasures.ready, failure.promise])
    },
    end: async (): Promise<void> => {
      ended.abort()
      await following
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
