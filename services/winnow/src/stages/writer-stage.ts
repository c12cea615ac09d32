import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { ColdHashers, FileColdKeys } from '@winnow/privacy'
import { systemClock } from '@winnow/runtime'
import { Writer } from '@winnow/writer'
import { openBlobStore, openHotStore, openTraceBuffer } from '../open-stores.ts'
import { blobProbe } from '../probe.ts'
import type { Stage, StageContext } from './stage.ts'

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
    hashers: new ColdHashers(new FileColdKeys(join(config.data, 'keys', 'cold'), randomBytes)),
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
