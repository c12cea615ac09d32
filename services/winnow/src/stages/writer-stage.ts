import { systemClock } from '@winnow/runtime'
import { Erasures, Writer } from '@winnow/writer'
import { coldHashersOf, tokenKeyCheckOf } from '../config/privacy-config.ts'
import { openBlobStore, openHotStore, openTraceBuffer } from '../open-stores.ts'
import { blobProbe } from '../probe.ts'
import type { Stage, StageContext } from './stage.ts'

/** One process hears of an erasure at once, others with their next look at `control`; then what is in hand is put. */
const oneProcessSettleMs = 500
const fleetSettleMs = 5_000

export async function writerStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, log, metrics, health } = context
  const hot = await openHotStore(config, { mayWrite: true, log, metrics, health })
  const blobs = await openBlobStore(config, { mayWrite: true, log, metrics })
  const blobsAnswer = blobProbe(blobs)
  health.register('blobs', () => blobsAnswer.read())
  const buffer = await openTraceBuffer(config, 'writer', context)
  const writer = new Writer({
    bus,
    topics,
    hot,
    blobs,
    ...(buffer !== undefined && { buffer }),
    hashers: coldHashersOf(config, log, { isWriter: true }),
    erasure: {
      erasures: new Erasures({ bus, control: topics.control, clock: systemClock, log }),
      topics,
      tokenKeyCheck: tenant => tokenKeyCheckOf(config, tenant),
      retentionMs: config.retention,
      settleMs: config.bus === 'file' ? oneProcessSettleMs : fleetSettleMs,
      bufferLifeMs: buffer === undefined ? 0 : config.redis.recordLife,
    },
    config: config.writer,
    clock: systemClock,
    log,
    metrics,
  })
  return {
    component: writer,
    failed: writer.failed,
    close: async () => {
      await hot.close()
      await blobs.close()
      await buffer?.close()
    },
  }
}
